"""What the kernel says to the host: frames, and the streams of user code."""
import codecs
import contextlib
import io
import json
import os
import select
import signal
import sys
import threading
import time

CHUNK = 32 << 10  # of a stream, in one frame
PATIENCE = 0.05  # seconds that text may wait for more


class Channel:
    """Frames in both directions. Threads may send at the same time."""

    def __init__(self, stdin, stdout):
        self.stdin, self.stdout = stdin, stdout
        self.lock = threading.RLock()
        self.main = threading.main_thread().ident
        self.depth = 0  # of the main thread in "with channel"
        self.late = False  # an interrupt came meanwhile
        self.alive = True
        os.register_at_fork(after_in_child=self.abandon)

    def abandon(self):
        """In a child that user code forked: it has nothing to say to the host."""
        self.alive, self.lock = False, threading.RLock()
        os.close(self.stdin)
        os.close(self.stdout)

    def __enter__(self):
        """Between this and __exit__ no interrupt cuts anything short: it comes
        afterwards."""
        if threading.get_ident() == self.main:
            self.depth += 1
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()
        if threading.get_ident() != self.main:
            return
        self.depth -= 1
        if self.late and not self.depth:
            self.late = False
            raise KeyboardInterrupt

    def interrupt(self):
        """Raises KeyboardInterrupt in the main thread, now or a moment later."""
        if self.depth:
            self.late = True
        else:
            raise KeyboardInterrupt

    def encode(self, message):
        body = json.dumps(message, check_circular=False, separators=(",", ":")).encode("ascii")
        return len(body).to_bytes(4, "little") + body

    def send(self, **message):
        self.write(self.encode(message))

    def write(self, frame):
        with self:
            rest = memoryview(frame)
            while rest and self.alive:
                rest = rest[os.write(self.stdout, rest) :]

    def receive(self):
        """The next request; None at the end."""
        head = self.read(4)
        body = head and self.read(int.from_bytes(head, "little"))
        return json.loads(body) if body else None

    def read(self, n):
        parts = []
        while n:
            part = os.read(self.stdin, min(n, 1 << 20))
            if not part:
                return None
            parts.append(part)
            n -= len(part)
        return b"".join(parts)


class Output:
    """Standard output and error of the cell that runs, in the order written.

    sys.stdout and sys.stderr collect text here; a thread sends text that waits
    for long, and what comes through the descriptors. The host's limit is kept
    here: beyond it, output is counted and thrown away.
    """

    def __init__(self, channel, pipes):
        self.channel = channel
        self.cell, self.room, self.cut = 0, 0, False
        self.text, self.size, self.name, self.sent = [], 0, "", 0.0
        self.pipes = dict(zip(pipes, ("stdout", "stderr")))
        utf8 = codecs.getincrementaldecoder("utf-8")
        self.decoders = {fd: utf8("replace") for fd in pipes}
        for fd in pipes:
            os.set_blocking(fd, False)
        self.wake, self.waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.waiting = False  # the thread knows that text waits
        sys.stdout = sys.__stdout__ = Stream(self, "stdout", 1)
        sys.stderr = sys.__stderr__ = Stream(self, "stderr", 2)
        sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)
        threading.Thread(target=self.forward, name="kernel-output", daemon=True).start()

    def begin(self, cell, room):
        with self.channel:
            self.drain()  # what came between two cells is nobody's
            self.cell, self.room, self.cut, self.sent = cell, room, False, 0.0

    def end(self):
        """Sends what is left, and tells whether something was cut off."""
        for stream in (sys.stdout, sys.stderr):  # a cell may have put others there
            with contextlib.suppress(Exception):
                stream.flush()
        with self.channel:
            self.drain()
            for fd, decoder in self.decoders.items():
                self.emit(self.pipes[fd], decoder.decode(b"", final=True))
            self.send_text()
            self.cell = 0
            return self.cut

    def write(self, name, text):
        """Collects text of user code. The first line of a cell is sent at once."""
        if self.full():
            return
        with self.channel:
            if not self.text:
                self.drain()  # it was written before
            elif name != self.name:
                self.send_text()
            self.name = name
            self.text.append(text)
            self.size += len(text)
            if self.size >= CHUNK or text.endswith("\n") and time.monotonic() - self.sent > PATIENCE:
                self.send_text()
            elif not self.waiting:
                self.waiting = True
                os.write(self.waker, b"x")

    def full(self):
        """Notes that something more was written, and tells if it is thrown away."""
        if self.cell and self.room:
            return False
        self.cut = True
        return True

    def flush(self):
        """Sends all that was written so far, before something else is shown."""
        with self.channel:
            self.drain()
            self.send_text()

    def send_text(self):
        if not self.text:
            return
        text, self.text, self.size = "".join(self.text), [], 0
        self.sent = time.monotonic()
        self.emit(self.name, text)

    def emit(self, name, text):
        if not text or not self.cell:
            return
        if self.room < len(text) * 4:
            exact = text.encode("utf-8", "replace")
            if len(exact) > self.room:
                self.cut = True
                text = exact[: self.room].decode("utf-8", "ignore")
            self.room -= min(self.room, len(exact))
        else:
            self.room -= len(text.encode("utf-8", "replace"))
        for i in range(0, len(text), CHUNK):
            self.channel.send(id=self.cell, type=name, text=text[i : i + CHUNK])

    def drain(self):
        """Reads what is in the pipes, at most what fits into one of them."""
        for fd, name in self.pipes.items():
            for _ in range(4):
                if not self.pull(fd, name):
                    break

    def pull(self, fd, name):
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        if not self.full():
            self.send_text()
            self.emit(name, self.decoders[fd].decode(data))
        return True

    def forward(self):
        """The thread. Interrupts are the main thread's."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        poll = select.poll()
        for fd in (*self.pipes, self.wake):
            poll.register(fd, select.POLLIN)
        due = 0.0  # when text has waited long enough; 0: none waits
        while True:
            ready = poll.poll(max(0.0, due - time.monotonic()) * 1000 if due else None)
            with self.channel:
                for fd, _ in ready:
                    if fd == self.wake:
                        os.read(fd, 64)
                        due = time.monotonic() + PATIENCE
                    else:
                        self.pull(fd, self.pipes[fd])
                if due and time.monotonic() >= due:
                    due, self.waiting = 0.0, False
                    self.send_text()


class Stream(io.TextIOBase):
    """sys.stdout or sys.stderr of user code."""

    encoding, errors, newlines, line_buffering = "utf-8", "replace", None, True

    def __init__(self, output, name, fd):
        self.output, self.fd, self.name = output, fd, "<%s>" % name
        self.kind, self.owner = name, os.getpid()
        # Binary output goes the way of all that is written to the descriptor.
        self.buffer = open(fd, "wb", buffering=0, closefd=False)

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        if os.getpid() == self.owner:
            self.output.write(self.kind, text)
        else:  # a forked child
            self.buffer.write(text.encode("utf-8", "replace"))
        return len(text)

    def flush(self):
        if os.getpid() == self.owner:
            with self.output.channel:
                self.output.send_text()

    def reconfigure(self, **_):
        pass

    def writable(self):
        return True

    def isatty(self):
        return False

    def fileno(self):
        return self.fd

    def close(self):
        """A cell that closes its output would take it from all that follow."""

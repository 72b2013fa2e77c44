"""The Python kernel: keeps one namespace between the cells that the host sends.

Started as an ordinary program. Requests come on its standard input, replies go
to its standard output: a frame is a little-endian u32 length and that much JSON.
Both descriptors are moved out of the way before anything else happens, so that
no user code, child process or C library can break a frame: what is written to
descriptors 1 and 2 goes through pipes that this program reads, and 0 is empty.
"""
import contextlib
import faulthandler
import fcntl
import gc
import os
import resource
import signal
import sys

from kernel_streams import Channel, Output

TEXT = 64 << 10  # how much of an error is shown: characters


def clip(text, limit=TEXT):
    if len(text) <= limit:
        return text
    return text[: limit // 2] + "\n[…]\n" + text[-limit // 2 :]


class Kernel:
    def __init__(self, channel, output):
        self.channel, self.output = channel, output
        self.owner = os.getpid()
        self.interruptible = False
        self.cell = 0  # the request that runs, or 0
        self.room = 0  # bytes of results that the host still takes
        self.truncated = False
        self.shell = None

    # Interrupts.

    def on_interrupt(self, signum, frame):
        """SIGINT counts while a cell runs, but never cuts a frame in half."""
        if self.interruptible and os.getpid() == self.owner:
            self.channel.interrupt()
        elif os.getpid() != self.owner:
            raise KeyboardInterrupt

    def arm(self):
        """A cell may have changed how signals are taken: that ends with it."""
        signal.signal(signal.SIGINT, self.on_interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    # What a cell shows.

    def show(self, data, main=False):
        """Sends a MIME bundle; the biggest parts are left out when the host would
        not take it all. Only text can be sent."""
        if not self.cell or os.getpid() != self.owner:
            return
        self.output.flush()
        data = {k: v for k, v in data.items() if isinstance(k, str) and isinstance(v, str)}
        while data:
            frame = self.channel.encode({"id": self.cell, "type": "result", "data": data, "main": main})
            if len(frame) <= self.room:
                self.room -= len(frame)
                self.channel.write(frame)
                return
            self.truncated = True
            del data[max(data, key=lambda k: len(data[k]))]

    def fail(self, name, value, traceback):
        self.output.flush()
        self.channel.send(id=self.cell, type="error", name=clip(name, 200), value=clip(value), traceback=clip(traceback))

    # Requests.

    def run(self, request):
        self.room, self.truncated = request["result_bytes"], False
        self.output.begin(request["id"], request["output_bytes"])
        self.arm()
        with environment(request.get("env") or {}):
            try:
                self.interruptible = True
                try:
                    self.shell.run(request["code"])
                finally:
                    self.interruptible = False
            except KeyboardInterrupt:
                self.fail("KeyboardInterrupt", "", "KeyboardInterrupt")
            except SystemExit as e:  # from where the shell did not expect it
                self.fail("SystemExit", str(e), "SystemExit: %s" % e)
        if os.getpid() != self.owner:
            os._exit(0)  # a child that a cell forked and did not end
        cut = self.output.end()
        return {"count": self.shell.count, "truncated": self.truncated or cut}

    def warm(self, request):
        """Runs code whose traces are then removed, but for the modules that it
        imported: before a snapshot that many sandboxes start from."""
        keep_memory()
        reply = self.run(request)
        self.shell.reset()
        gc.collect()
        gc.freeze()
        return reply

    def resume(self, request):
        """Makes this process one of its own after a restore."""
        reseed(bytes.fromhex(request["seed"]))
        lower(resource.RLIMIT_NPROC, request.get("pids"))
        lower(resource.RLIMIT_NOFILE, request.get("open_files"))
        os.environ.update(request.get("env") or {})
        if request.get("cwd"):
            os.chdir(request["cwd"])
        # The last field: the host finds the end of this frame by it.
        return {"sync": request.get("sync", "")}

    def serve(self):
        handlers = {"run": self.run, "warm": self.warm, "resume": self.resume}
        self.channel.send(id=0, type="ready")
        while True:
            request = self.channel.receive()
            if request is None:
                os._exit(0)
            self.cell = request["id"]
            try:
                reply = handlers[request["op"]](request)
            except Exception as e:
                self.channel.send(id=self.cell, type="end", failed="%s: %s" % (type(e).__name__, e), sync=request.get("sync", ""))
            else:
                self.channel.send(id=self.cell, type="end", **reply)
            self.cell = 0


def lower(limit, value):
    """Sets a limit that every other program of the sandbox has from its start."""
    _, hard = resource.getrlimit(limit)
    if value and (hard == resource.RLIM_INFINITY or value < hard):
        resource.setrlimit(limit, (value, value))


def keep_memory():
    """Has malloc keep what is freed, also in large pieces: in a sandbox a new page
    costs more than one that came with the snapshot."""
    with contextlib.suppress(Exception):  # another libc has no such thing
        import ctypes

        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 16 << 20)  # M_MMAP_THRESHOLD


@contextlib.contextmanager
def environment(extra):
    """Variables of one cell."""
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def reseed(seed):
    """No two sandboxes restored from one snapshot may draw the same numbers.
    Generators that the program made itself (random.Random(), default_rng()) keep
    their state, as all its objects do."""
    entropy = os.urandom(32) + seed
    loaded = sys.modules
    if "random" in loaded:
        loaded["random"].seed(entropy)
    if "numpy.random" in loaded:
        loaded["numpy.random"].seed(list(int.from_bytes(entropy[i : i + 4], "little") for i in range(0, len(entropy), 4)))
    if "_ssl" in loaded:  # else OpenSSL's generator was not used yet, and seeds itself
        loaded["_ssl"].RAND_add(entropy, 64.0)
    if "tempfile" in loaded:
        loaded["tempfile"]._name_sequence = None
    if "uuid" in loaded:
        loaded["uuid"]._last_timestamp = loaded["uuid"]._node = None
    if "torch" in loaded:
        loaded["torch"].seed()


def take_descriptors():
    """Moves the host's streams away and puts pipes in their place. The numbers are
    high, so that programs which close or reuse low ones do no harm."""
    high = min(900, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 16)
    stdin, stdout, stderr = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, high) for fd in (0, 1, 2))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    pipes = []
    for fd in (1, 2):
        r, w = os.pipe()
        pipes.append(fcntl.fcntl(r, fcntl.F_DUPFD_CLOEXEC, high))
        os.close(r)
        os.dup2(w, fd)
        os.close(w)
    faulthandler.enable(stderr)  # a crash is explained where the host reads it
    return stdin, stdout, pipes


def load_shell(kernel):
    try:
        from kernel_ipython import Shell
    except ImportError:
        from kernel_plain import Shell
    return Shell(kernel)


def main():
    stdin, stdout, pipes = take_descriptors()
    channel = Channel(stdin, stdout)
    kernel = Kernel(channel, Output(channel, pipes))
    kernel.arm()
    kernel.shell = load_shell(kernel)
    # Modules are looked for where the cell is, as in any session; until here only
    # the interpreter's own could be imported.
    sys.path[0] = ""
    sys.argv[:] = [""]
    kernel.serve()


if __name__ == "__main__":
    main()

"""The warm Python interpreter: imports what programs usually want, then waits.

It is started when a template is baked and is part of the snapshot. Descriptor 3
leads to the agent: "R" says that it waits; then one request comes, and the
program runs here, in place (or, with --fork, in a child of its own, so that one
sandbox can run several). Nothing here needs protection from the program: the
sandbox is thrown away, and the agent is another user's process.
"""
import atexit
import builtins
import gc
import os
import resource
import sys
import threading
import types


def warm_up(names):
    for name in names:
        __import__(name)


def read_exactly(n):
    parts = []
    while n:
        b = os.read(3, n)
        if not b:
            os._exit(0)
        parts.append(b)
        n -= len(b)
    return b"".join(parts)


class Fields:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self):
        n = int.from_bytes(self.data[self.at : self.at + 4], "little")
        b = self.data[self.at + 4 : self.at + 4 + n]
        self.at += 4 + n
        return b

    def number(self):
        return int.from_bytes(self.take(), "little")

    def text(self):
        return os.fsdecode(self.take())


def reseed(seed):
    """No two clones of a snapshot may draw the same numbers."""
    entropy = os.urandom(32) + seed
    loaded = sys.modules
    if "random" in loaded:
        loaded["random"].seed(entropy)
    numpy = loaded.get("numpy.random")
    if numpy is not None:
        numpy.seed(int.from_bytes(os.urandom(4), "little"))
    ssl = loaded.get("_ssl")
    if ssl is not None:  # else OpenSSL's generator was not used yet, and seeds itself
        ssl.RAND_add(entropy, 64.0)
    tempfile = loaded.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None


def apply_limits(cpu_seconds, nproc, nofile):
    def lower(what, soft, hard):
        old = resource.getrlimit(what)[1]
        if old != resource.RLIM_INFINITY:
            soft, hard = min(soft, old), min(hard, old)
        resource.setrlimit(what, (soft, hard))

    if cpu_seconds:
        # What the interpreter used before the snapshot is not the program's.
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime)
        lower(resource.RLIMIT_CPU, cpu_seconds + spent, cpu_seconds + spent + 1)
    if nproc:
        lower(resource.RLIMIT_NPROC, nproc, nproc)
    if nofile:
        lower(resource.RLIMIT_NOFILE, nofile, nofile)


def wait_for_request():
    gc.collect()
    gc.freeze()
    os.write(3, b"R")
    return read_request()


def read_request():
    data = read_exactly(int.from_bytes(read_exactly(4), "little"))
    seed, f = data[:64], Fields(data[64:])
    f.number()  # flags
    request = {"seed": seed, "cwd": f.text(), "cpu": f.number(), "nproc": f.number(), "nofile": f.number()}
    request["argv"] = [f.text() for _ in range(f.number())]
    request["env"] = dict(f.text().split("=", 1) for _ in range(f.number()))
    return request


def prepare(request):
    reseed(request["seed"])
    apply_limits(request["cpu"], request["nproc"], request["nofile"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv[:] = request["argv"]
    sys.path[0] = os.path.dirname(os.path.abspath(request["argv"][0]))


def run(path):
    """Runs the file as __main__ and ends the process as the interpreter would."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = main
    status = 0
    try:
        with open(path, "rb") as f:
            code = compile(f.read(), path, "exec", dont_inherit=True)
        exec(code, main.__dict__)
    except SystemExit as e:
        status = exit_status(e.code)
    except BaseException as e:
        show_error(e)
        status = 130 if isinstance(e, KeyboardInterrupt) else 1
    leave(main, status)


def exit_status(code):
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stdout.flush()
    print(code, file=sys.stderr)
    return 1


def show_error(error):
    """Prints the error without the frames of this file."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    try:
        sys.stdout.flush()
    except Exception:
        pass
    sys.excepthook(type(error), error.with_traceback(tb), tb)


def leave(main, status):
    """What the interpreter does at its end, without taking every module apart:
    that would touch each page of the snapshot, and the process is over anyway.
    The program's own objects are dropped, so that open files reach the disk."""
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException as e:
        sys.excepthook(type(e), e, e.__traceback__)
    main.__dict__.clear()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            status = status or 120
    os._exit(status)


def serve_forking():
    request = wait_for_request()
    while True:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.write(3, b"P" + os.getpid().to_bytes(4, "little"))
            os.close(3)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)  # the pipe is the next program's too
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            return request
        _, status = os.waitpid(pid, 0)
        os.write(3, b"X" + status.to_bytes(4, "little"))
        request = read_request()


def main():
    if "--warm" in sys.argv:
        warm_up(sys.argv[sys.argv.index("--warm") + 1].split(","))
    if "--fork" in sys.argv:
        request = serve_forking()
    else:
        request = wait_for_request()
        os.close(3)
    prepare(request)
    run(request["argv"][0])


if __name__ == "__main__":
    main()

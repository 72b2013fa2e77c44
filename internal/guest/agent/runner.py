"""The warm Python interpreter: imports what programs usually want, then waits.

It is started when a template is baked and is part of the snapshot. Descriptor 3
leads to the agent: "R" says that it waits; then one request comes, and the
program runs here, in place (or, with --fork, in a child of its own, so that one
sandbox can run several). Nothing here needs protection from the program: the
sandbox is thrown away, and the agent is another user's process.
"""
import os
import sys


def warm_up(names):
    import importlib

    for name in names:
        importlib.import_module(name)


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
    if "ssl" in loaded or "_ssl" in loaded:
        import _ssl

        _ssl.RAND_add(entropy, 64.0)
    elif "_hashlib" in loaded:
        # libcrypto is loaded by hashlib too, and its generator was cloned.
        import _ssl

        _ssl.RAND_add(entropy, 64.0)
    tempfile = loaded.get("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None


def apply_limits(cpu_seconds, nproc, nofile):
    import resource

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
    import gc

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
    import builtins
    import types

    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = main
    with open(path, "rb") as f:
        source = f.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        del source
        exec(code, main.__dict__)
    except SystemExit:
        raise
    except BaseException:
        show_error(path)
        interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        sys.exit(130 if interrupted else 1)


def show_error(path):
    """Prints the error without the frames of this file."""
    kind, error, tb = sys.exc_info()
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    sys.stdout.flush()
    sys.excepthook(kind, error.with_traceback(tb), tb)


def serve_forking():
    request = wait_for_request()
    while True:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.write(3, b"P" + os.getpid().to_bytes(4, "little"))
            os.close(3)
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            return request
        _, status = os.waitpid(pid, 0)
        os.write(3, b"X" + status.to_bytes(4, "little"))
        request = read_request()


def main():
    fork = "--fork" in sys.argv
    if "--warm" in sys.argv:
        warm_up(sys.argv[sys.argv.index("--warm") + 1].split(","))
    import builtins, gc, resource, types  # noqa: used later, loaded before the bake

    if fork:
        request = serve_forking()
    else:
        request = wait_for_request()
        os.close(3)
    prepare(request)
    run(request["argv"][0])


if __name__ == "__main__":
    main()

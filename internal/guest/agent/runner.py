"""The warm Python interpreter: imports what programs usually want, then waits.

It is started when a template is baked and is part of the snapshot. Descriptor 3
leads to the agent: "R" says that it waits; then one request comes, and the
program runs here, in place (or, with --fork, in a child of its own, so that one
sandbox can run several). Nothing here needs protection from the program: the
sandbox is thrown away, and the agent is another user's process.
"""
import atexit
import builtins
import fcntl
import gc
import os
import resource
import sys
import threading
import time
import types


def warm_up(names):
    for name in names:
        __import__(name)


def read_message():
    """Reads one length-prefixed message; it mostly comes in one piece."""
    data = os.read(control, 1 << 16)
    while data and (len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "little")):
        more = os.read(control, 1 << 18)
        if not more:
            break
        data += more
    if not data:
        os._exit(0)
    return data[4:]


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
    if cpu_seconds:
        # What the interpreter used before the snapshot is not the program's.
        used = resource.getrusage(resource.RUSAGE_SELF)
        end = cpu_seconds + int(used.ru_utime + used.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (end, end + 1))
    if nproc:
        resource.setrlimit(resource.RLIMIT_NPROC, (nproc, nproc))
    if nofile:
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))


def wait_for_request():
    gc.collect()
    gc.freeze()
    os.write(control, b"R")
    return read_request()


PRIMER = """
import json, re
class C:
    def f(self, *a, k=1, **kw):
        return [x * k for x in a if x]
data = json.loads('{"a": [1, 2.5, "b", null, true], "c": {"d": "e"}}')
try:
    s = {k: v for k, v in sorted(data.items())} and C().f(*range(9), k=2.0)
    re.sub(r"[a-z]+(\\d*)", "-", f"{s!r:>9} {data['c']}".upper())
    raise KeyError(s)
except (KeyError, ValueError) as e:
    json.dumps([data, str(e)], indent=1)
with open("/dev/null", "w") as f:
    json.dump(data, f)
"""


def prime():
    """Touches what a program touches: the first touch of a page of a restored
    sandbox is slow. It draws no random numbers and leaves nothing behind."""
    main = types.ModuleType("__main__")
    exec(compile(PRIMER, "<prime>", "exec"), main.__dict__)
    main.__dict__.clear()
    gc.collect()
    os.write(control, b"R")


def read_request():
    data = read_message()
    while not data:
        prime()
        data = read_message()
    seed, f = data[:64], Fields(data[64:])
    f.number()  # flags
    request = {"seed": seed, "cwd": f.text(), "cpu": f.number(), "nproc": f.number(), "nofile": f.number()}
    request["argv"] = [f.text() for _ in range(f.number())]
    request["env"] = dict(f.text().split("=", 1) for _ in range(f.number()))
    return request


def prepare(request):
    reseed(request["seed"])
    apply_limits(request["cpu"], request["nproc"], request["nofile"])
    env, wanted = os.environ, request["env"]
    for name in list(env):
        if name not in wanted:
            del env[name]
    for name, value in wanted.items():
        if env.get(name) != value:
            env[name] = value
    os.chdir(request["cwd"])
    sys.argv[:] = request["argv"]
    sys.path[0] = request["argv"][0].rpartition("/")[0] or "/"


def read_file(path):
    """Reads a file with as few system calls as can be: each costs in a sandbox."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    parts = [os.read(fd, 1 << 20)]
    while len(parts[-1]) == 1 << 20:
        parts.append(os.read(fd, 1 << 20))
    os.close(fd)
    return b"".join(parts)


def run(path):
    """Runs the file as __main__ and ends the process as the interpreter would."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins)
    sys.modules["__main__"] = main
    status = 0
    try:
        code = compile(read_file(path), path, "exec", dont_inherit=True)
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
    report(status << 8)
    os._exit(status)


def report(wait_status):
    """Tells the agent how the program ended, and waits until it wants the process
    gone: taking its memory apart costs milliseconds, and mostly the sandbox goes
    first. The program may have closed our descriptor, and opened a file of its own
    under the same number; and what ends here may be a child that it forked."""
    try:
        if os.getpid() == owner and os.fstat(control).st_ino == control_inode:
            cpu = time.process_time_ns() // 1000 - cpu_before
            os.write(control, b"X" + wait_status.to_bytes(4, "little") + cpu.to_bytes(8, "little"))
            os.read(control, 1)
    except OSError:
        pass


def serve_forking():
    request = wait_for_request()
    while True:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.write(control, b"P" + os.getpid().to_bytes(4, "little"))
            os.close(control)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)  # the pipe is the next program's too
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            return request
        _, status, used = os.wait4(pid, 0)
        cpu = int((used.ru_utime + used.ru_stime) * 1e6)
        os.write(control, b"X" + status.to_bytes(4, "little") + cpu.to_bytes(8, "little"))
        request = read_request()


def main():
    global control, control_inode, owner, cpu_before
    # Away from 3, which programs like to use or to close; not inherited.
    control = fcntl.fcntl(3, fcntl.F_DUPFD_CLOEXEC, 900)
    os.close(3)
    control_inode = os.fstat(control).st_ino
    if "--warm" in sys.argv:
        warm_up(sys.argv[sys.argv.index("--warm") + 1].split(","))
    if "--fork" in sys.argv:
        request = serve_forking()
        owner = -1  # its parent reports
    else:
        owner = os.getpid()
        request = wait_for_request()
    cpu_before = time.process_time_ns() // 1000
    prepare(request)
    run(request["argv"][0])


if __name__ == "__main__":
    main()

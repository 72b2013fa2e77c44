"""Every call of a sandbox, against a server."""

from __future__ import annotations

import io
import os
import tarfile
import time

import pytest

import brig
from brig import BadRequestError, Client, CommandFailed, ConflictError, NotFoundError, SandboxTimeout


def test_keys(client):
    if not os.environ["BRIG_API"].startswith("http"):
        pytest.skip("a socket needs no key")
    for key in ("", "brig_" + "0" * 32, "nonsense"):
        with Client(api_key=key) as wrong, pytest.raises(brig.AuthError):
            wrong.sandboxes.list()
    client.ready()
    assert client.version()


def test_create(client, template):
    words = {"n": 7, "flag": True, "text": "ä"}
    with client.sandboxes.create(
        template, ttl_seconds=60, idle_timeout_seconds=50, metadata=words, env={"GREETING": "hé"}, memory_mb=300, limits={"pids": 99}
    ) as made:
        assert made.status == "running" and made.info.isolation
        assert made.metadata == {"n": "7", "flag": "true", "text": "ä"}
        assert (made.info.expires_at - made.info.created_at).total_seconds() == pytest.approx(60, abs=1)
        assert made.exec("echo $GREETING").stdout == "hé\n"
        limits = client.sandboxes.get(made.id).info.raw["limits"]
        assert (limits["memory_bytes"], limits["pids"]) == (300 << 20, 99)
        assert [s.id for s in client.sandboxes.list(metadata={"text": "ä"})] == [made.id]
        assert made.lifecycle().idle_timeout_seconds == 50
    assert made.refresh().status == "deleted" and made.info.ended_reason == "deleted"
    assert made.id in [s.id for s in client.sandboxes.list(all=True)]


def test_idempotency(client, template):
    key = os.urandom(8).hex()
    with client.sandboxes.create(template, ttl_seconds=60, idempotency_key=key) as one:
        assert client.sandboxes.create(template, ttl_seconds=60, idempotency_key=key).id == one.id


def test_requests_that_make_no_sense(client, template, shared):
    with pytest.raises(BadRequestError) as error:
        client.sandboxes.create(template, ttl_seconds=-1)
    assert error.value.code == "invalid" and error.value.fix and error.value.request_id
    with pytest.raises((NotFoundError, BadRequestError)):
        client.sandboxes.create("there-is-no-such-template")
    with pytest.raises(NotFoundError):
        client.sandboxes.get("nope/../x")
    with pytest.raises(BadRequestError):
        shared.filesystem.read("relative")


def test_exec(shared):
    result = shared.exec("echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code, result.verdict, result.ok) == ("out\n", "err\n", 3, "nonzero", False)
    binary = shared.exec(["printf", r"\377\000"])
    assert binary.stdout_bytes == b"\xff\x00" and binary.stdout == "\ufffd\x00"
    assert shared.exec("cat; pwd; echo $X", stdin=b"\xfe", cwd="/tmp", env={"X": "é"}).stdout_bytes == b"\xfe/tmp\n\xc3\xa9\n"
    assert shared.exec("cat", stdin="text").stdout == "text"
    assert shared.exec("kill -9 $$").signal == "SIGKILL"
    assert shared.exec("id -u", user="root").stdout == "0\n"
    with pytest.raises(CommandFailed, match="ended with exit code 4: why") as failed:
        shared.exec("echo why >&2; exit 4", check=True)
    assert failed.value.result.exit_code == 4


def test_timeout(shared):
    result = shared.exec("echo begun; setsid sleep 976 & sleep 976", timeout_seconds=0.5)
    assert (result.timed_out, result.exit_code, result.stdout, result.verdict) == (True, 124, "begun\n", "timeout")
    with pytest.raises(SandboxTimeout) as error:
        shared.exec("echo begun; sleep 976", 0.5, check=True)
    assert error.value.result.stdout == "begun\n"
    assert shared.commands.run("ps -e 2>/dev/null | grep -c 'sleep 976' || true", timeout=10).stdout.strip() in ("0", "")


def test_exec_stream(shared):
    out, err = [], []
    result = shared.exec_stream("printf 'é \\302\\205 z'; echo bad >&2; exit 5", out.append, err.append)
    assert ("".join(out), "".join(err), result.exit_code) == ("é \u0085 z", "bad\n", 5)
    assert shared.exec_stream("sleep 900", timeout_seconds=0.5).timed_out
    with pytest.raises(CommandFailed):
        shared.exec_stream("exit 1", check=True)


def test_a_listener_that_fails_ends_its_program(shared):
    def listener(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.exec_stream("echo $$; exec sleep 964", listener)
    [process] = [p for p in shared.processes() if "sleep 964" in " ".join(p.info.argv)]
    for _ in range(100):
        if not process.refresh().running:
            return
        time.sleep(0.05)
    pytest.fail("it runs on")


def test_users(shared):
    for user, ids in {"user": "1000 1000", "root": "0 0", "nobody": "65534 65534", "4242:7": "4242 7"}.items():
        assert shared.exec("echo $(id -u) $(id -g)", user=user).stdout.strip() == ids
    with pytest.raises(BadRequestError, match="no user"):
        shared.exec("true", user="nobody-here")


def test_processes(shared):
    loud = shared.start("head -c 3000000 /dev/zero | tr '\\0' x", tag="loud")
    assert sum(len(o.data) + o.lost for o in loud.output()) == 3_000_000
    echo = shared.start("cat; exit 7", open_stdin=True)
    echo.write(b"\xff\x00")
    echo.write("é", eof=True)
    out = []
    assert echo.wait(on_stdout=out.append).exit_code == 7 and b"".join(out) == b"\xff\x00\xc3\xa9"
    sleeper = shared.start(["sleep", "965"])
    assert sleeper.refresh().running and sleeper.id in [p.id for p in shared.processes()]
    sleeper.kill()
    assert shared.process(sleeper.id).wait().signal == "SIGKILL"
    screen = shared.start("stty size", terminal={"rows": 30, "cols": 99})
    assert b"30 99" in b"".join(o.data for o in screen.output())


def test_files(shared, tmp_path):
    fs = shared.filesystem
    data = os.urandom(5 << 20)
    name = "/made/for this/né & #%.bin"
    fs.write(name, data, mode=0o755)
    assert fs.read(name) == data and fs.stat(name).mode == "0755"
    assert fs.read(name, offset=1000, length=10) == data[1000:1010]
    assert fs.read(name, offset=len(data) - 5) == data[-5:] and fs.read(name, length=0) == b""
    fs.write("/made/streamed", (data[i : i + 100_000] for i in range(0, len(data), 100_000)))
    assert b"".join(fs.iter_bytes("/made/streamed")) == data
    fs.write("/made/text", "tëxt")
    assert fs.read_text("/made/text") == "tëxt"
    fs.move("/made/text", "/made/moved")
    fs.mkdir("/made/a/b")
    assert not fs.exists("/made/text") and fs.exists("/made/a/b")
    assert sorted(f.name for f in fs.list("/made")) == ["a", "for this", "moved", "streamed"]
    assert sorted(d for d, _, _ in fs.walk("/made")) == ["/made", "/made/a", "/made/a/b", "/made/for this"]
    (tmp_path / "local").write_bytes(data)
    fs.upload(tmp_path / "local", "/made/up")
    fs.download("/made/up", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data and not (tmp_path / "back.part").exists()
    with pytest.raises(NotFoundError):
        fs.download("/unmade", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    fs.remove("/made")
    with pytest.raises(NotFoundError):
        fs.read("/made/up")


def test_tar(shared):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("sub/file")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    shared.filesystem.write_tar("/unpacked", packed.getvalue())
    assert shared.filesystem.read("/unpacked/sub/file") == b"abc"
    back = io.BytesIO(b"".join(shared.filesystem.read_tar("/unpacked")))
    with tarfile.open(fileobj=back) as tar:
        assert tar.extractfile([n for n in tar.getnames() if n.endswith("file")][0]).read() == b"abc"


def test_code(shared):
    shared.run_code("x = 41")
    assert shared.run_code("x + 1").text == "42"
    said = []
    run = shared.run_code("print('a'); x", on_event=said.append)
    assert run.text == "41" and said[0].stdout == "a\n" and any(e.result for e in said)
    bad = shared.run_code("1/0")
    assert bad.error.name == "ZeroDivisionError" and bad.exit_code == 1 and "1/0" in bad.error.traceback
    slow = shared.run_code("while True: pass", timeout_seconds=0.5)
    assert slow.timed_out and slow.exit_code == 124 and shared.run_code("x").text == "41"
    rich = shared.run_code("class T:\n def _repr_html_(self): return '<b>'\n def _repr_png_(self): return b'\\x89PNG'\nT()")
    assert rich.results[0].html == "<b>" and rich.results[0].bytes_of("image/png") == b"\x89PNG" and rich.png
    with shared.create_code_context(cwd="/tmp") as context:
        assert context.run_code("import os; os.getcwd()").text == "'/tmp'"
        assert shared.run_code("'x' in dir()", context=context).text == "False"
        assert shared.run_code("os.sep", context=context.id).text == "'/'"
        context.restart()
        assert context.run_code("'os' in dir()").text == "False"
        assert context.id in [c.id for c in shared.code.contexts()]
    assert context.id not in [c.id for c in shared.code.contexts()]
    context.close()


def test_lifecycle(sandbox):
    assert sandbox.set_ttl(900).ttl_seconds == 900
    assert sandbox.set_idle_timeout(60).idle_timeout_seconds == 60
    assert sandbox.set_persistent(True).persistent and sandbox.set_persistent(False).idle_seconds >= 0
    sandbox.pause()
    with pytest.raises(ConflictError):
        sandbox.exec("true")
    sandbox.resume()
    sandbox.run_code("x = 'kept'")
    sandbox.hibernate()
    assert sandbox.refresh().status == "hibernated"
    assert sandbox.run_code("x").text == "'kept'"
    sandbox.hibernate()
    sandbox.wake()
    assert sandbox.refresh().status == "running"


def test_its_time_ends(client, template):
    made = client.sandboxes.create(template, ttl_seconds=1)
    with pytest.raises(brig.BrigError):
        for _ in range(100):
            made.exec("sleep 0.1")
    assert time.time() >= made.info.expires_at.timestamp() - 0.5
    made.delete()


def test_snapshots_and_forks(client, sandbox):
    sandbox.run_code("x = ['then']")
    kept = sandbox.snapshot("p6-" + os.urandom(4).hex(), ttl_seconds=600)
    try:
        assert client.snapshots.get(kept.name).id == kept.id and kept.size_bytes > 0
        assert [s.id for s in client.snapshots.list(sandbox.id)] == [kept.id]
        with client.sandboxes.create(from_snapshot=kept, ttl_seconds=60) as later:
            assert later.run_code("x").text == "['then']" and later.info.from_snapshot == kept.id
    finally:
        client.snapshots.delete(kept.id)
    children = sandbox.fork_tree(3, metadata={"branch": 1})
    assert len({c.id for c in children}) == 3 and {c.metadata["branch"] for c in children} == {"1"}
    assert sorted(children[0].promote().deleted) == sorted(c.id for c in children[1:])
    children[0].delete()


def test_logs_and_events_outlive_it(client, template):
    with client.sandboxes.create(template, ttl_seconds=60) as made:
        made.exec("echo one; echo twó >&2")
        got = ""
        for text in made.follow_logs():
            got += text
            if "one" in got and "twó" in got:
                break
    assert sorted(made.logs().split()) == ["one", "twó"] and made.logs("stderr") == "twó\n"
    events = made.events()
    assert events[0].type == "created" and events[-1].type == "ended" and events[-1].time
    assert len(made.events(tail=1)) == 1


def test_stats_and_templates(client, shared, template):
    assert shared.stats()["memory_bytes"] > 0
    assert template in [t.name for t in client.templates.list()]
    assert client.templates.get(template).digest

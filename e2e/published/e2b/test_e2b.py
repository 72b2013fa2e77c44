"""E2B's published packages for Python against a Brig server, sync and async.
E2B_API_URL, E2B_SANDBOX_URL and E2B_API_KEY name the server."""

import asyncio
import time

import pytest
from e2b import (
    AsyncSandbox,
    CommandExitException,
    PtySize,
    Sandbox,
    SandboxException,
    SandboxNotFoundException,
    SandboxQuery,
    SandboxState,
    TimeoutException,
)
from e2b_code_interpreter import AsyncSandbox as AsyncCode
from e2b_code_interpreter import Sandbox as Code


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox.create(timeout=300, metadata={"who": "a b&c=é"}, envs={"GIVEN": "yes"}) as s:
        yield s


def eventually(what):
    for _ in range(200):
        if got := what():
            return got
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_control(sandbox):
    info = sandbox.get_info()
    assert info.sandbox_id == sandbox.sandbox_id and info.metadata == {"who": "a b&c=é"}
    assert sandbox.is_running()
    sandbox.set_timeout(600)
    same = Sandbox.connect(sandbox.sandbox_id, timeout=60)
    assert (same.get_info().end_at - info.started_at).total_seconds() > 500
    query = SandboxQuery(metadata={"who": "a b&c=é"}, state=[SandboxState.RUNNING, SandboxState.PAUSED])
    assert sandbox.sandbox_id in [s.sandbox_id for s in Sandbox.list(query=query, limit=100).next_items()]
    assert sandbox.get_metrics()[0].mem_total > 0


def test_commands(sandbox):
    assert sandbox.commands.run("echo $GIVEN; pwd; whoami").stdout == "yes\n/home/user\nuser\n"
    with pytest.raises(CommandExitException) as failed:
        sandbox.commands.run("echo before; exit 3")
    assert (failed.value.exit_code, failed.value.stdout) == (3, "before\n")
    background = sandbox.commands.run("echo one; sleep 0.2; echo two", background=True)
    assert "".join(out or "" for out, _, _ in background) == "one\ntwo\n"
    cat = sandbox.commands.run("cat", background=True, stdin=True)
    sandbox.commands.send_stdin(cat.pid, "typed\n")
    sandbox.commands.close_stdin(cat.pid)
    assert cat.wait().stdout == "typed\n"
    late = sandbox.commands.run("echo early; sleep 0.3; echo late", background=True)
    assert sandbox.commands.connect(late.pid).wait().stdout.endswith("late\n")
    sleeper = sandbox.commands.run("sleep 1000", background=True)
    assert sleeper.pid in [p.pid for p in sandbox.commands.list()]
    assert sandbox.commands.kill(sleeper.pid) and not sandbox.commands.kill(99999)
    with pytest.raises(TimeoutException):
        sandbox.commands.run("sleep 100", timeout=0.5)


def test_files(sandbox):
    files = sandbox.files
    files.write("d/é.txt", "text é")
    assert files.read("d/é.txt") == "text é"
    raw = bytes(range(256)) * 4096
    files.write("d/raw", raw)
    assert bytes(files.read("d/raw", format="bytes")) == raw
    assert sorted(e.name for e in files.list("d")) == ["raw", "é.txt"]
    assert files.get_info("d/raw").size == len(raw)
    assert files.rename("d/raw", "d/moved").path == "/home/user/d/moved"
    assert files.exists("d/moved") and not files.exists("d/raw")
    assert files.make_dir("new") and not files.make_dir("new")
    files.remove("d/moved")
    watch = files.watch_dir("d")
    files.write("d/seen", "")
    assert eventually(watch.get_new_events)[0].name == "seen"
    watch.stop()


def test_terminal(sandbox):
    seen = bytearray()
    terminal = sandbox.pty.create(PtySize(rows=30, cols=90))
    sandbox.pty.send_stdin(terminal.pid, b"stty size; echo $((6 * 7)); exit\n")
    terminal.wait(on_pty=seen.extend)
    assert b"30 90" in seen and b"42" in seen


def test_pause_snapshot_fork():
    with Sandbox.create(timeout=300) as s:
        s.files.write("kept", "kept")
        assert s.pause() and not s.pause() and not s.is_running()
        s.connect()
        assert s.files.read("kept") == "kept"
        snapshot = s.create_snapshot()
        with Sandbox.create(snapshot.snapshot_id, timeout=60) as copy:
            assert copy.files.read("kept") == "kept"
        assert Sandbox.delete_snapshot(snapshot.snapshot_id)
        for child in s.fork(count=2):
            assert child.files.read("kept") == "kept"
            child.kill()
        assert s.kill() and not s.kill()
        with pytest.raises(SandboxNotFoundException):
            s.get_info()
        with pytest.raises(SandboxException, match="not part of this server"):
            Sandbox.create(mcp={"github": {}})


def test_code():
    with Code.create(timeout=300) as s:
        lines = []
        assert s.run_code('x = 20\nprint("é")\nx + 1', on_stdout=lambda m: lines.append(m.line)).text == "21"
        assert "".join(lines) == "é\n"
        assert s.run_code("1/0").error.name == "ZeroDivisionError"
        assert s.run_code("import os; os.environ['A']", envs={"A": "b"}).text == "b"
        with pytest.raises(TimeoutException):
            s.run_code("while True: pass", timeout=1)
        assert s.run_code("x").text == "20"
        context = s.create_code_context(cwd="/tmp")
        assert s.run_code("import os; os.getcwd()", context=context).text == "/tmp"
        assert {c.language for c in s.list_code_contexts()} >= {"python", "javascript"}
        s.restart_code_context(context)
        s.remove_code_context(context)


def test_async():
    async def all_of_it():
        async with await AsyncSandbox.create(timeout=120) as s:
            results = await asyncio.gather(*(s.commands.run(f"echo {i}") for i in range(32)))
            assert [r.stdout for r in results] == [f"{i}\n" for i in range(32)]
            seen = asyncio.Event()
            watch = await s.files.watch_dir(".", on_event=lambda _: seen.set())
            await s.files.write("new", "")
            await asyncio.wait_for(seen.wait(), 20)
            await watch.stop()
        async with await AsyncCode.create(timeout=120) as s:
            assert (await s.run_code("1 + 1")).text == "2"

    asyncio.run(all_of_it())

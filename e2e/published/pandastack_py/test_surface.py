"""Every call of the published package that this server has, and the answer of those
that it has not."""

from __future__ import annotations

import base64
import os
import time

import pandastack
import pytest
from pandastack import (
    AuthError,
    BadRequestError,
    Candidate,
    Client,
    CommandFailed,
    NotFoundError,
    Sandbox,
    SandboxTimeout,
    ServerError,
    TemplateBuildError,
)

TEMPLATE = os.environ["BRIG_TEMPLATE"]


@pytest.fixture(scope="module")
def client():
    return Client()


@pytest.fixture(scope="module")
def shared(client):
    """One sandbox for the tests that leave it as it was."""
    sandbox = client.sandboxes.create(template=TEMPLATE, ttl_seconds=600, metadata={"suite": "surface"})
    yield sandbox
    sandbox.kill()


@pytest.fixture
def sandbox(client):
    made = client.sandboxes.create(template=TEMPLATE, ttl_seconds=90)
    yield made
    try:
        made.kill()
    except NotFoundError:
        pass


def test_keys(client):
    for key in ("brig_" + "0" * 32, "pds_" + "0" * 32, "nonsense"):
        with pytest.raises(AuthError):
            Client(api_key=key).sandboxes.list()
    assert Client(api_url=client.api_url + "/v1").sandboxes.list() is not None


def test_create(client):
    made = client.sandboxes.create(template=TEMPLATE, ttl_seconds=30, metadata={"n": 7, "flag": True, "text": "ä"})
    try:
        assert made.status == "running" and made.template == TEMPLATE
        assert made.metadata == {"n": "7", "flag": "true", "text": "ä"}
        assert made.cpu >= 1 and made.memory_mb > 0 and made.boot_ms >= 0 and made.created_at
        assert client.sandboxes.get(made.id).metadata == made.metadata
        assert made.id in [s.id for s in client.sandboxes.list()]
        assert made.refresh() is made
    finally:
        client.sandboxes.delete(made.id)
    assert made.id not in [s.id for s in client.sandboxes.list()]
    with pytest.raises((NotFoundError, BadRequestError)):
        client.sandboxes.create(template="there-is-no-such-template")
    with pytest.raises(BadRequestError):
        client.sandboxes.create(template=TEMPLATE, ttl_seconds=-5)
    with pytest.raises(NotFoundError):
        client.sandboxes.get("nope")
    with pytest.warns(DeprecationWarning):
        client.sandboxes.create(template=TEMPLATE, cpu=2, memory_mb=512, ttl_seconds=30).kill()


def test_persistent(client):
    with Sandbox.create(template=TEMPLATE, persistent=True, ttl_seconds=60) as made:
        assert made.persistent and made.lifecycle()["persistent"]
    assert client.sandboxes.get(made.id).status == "running"  # its context left it
    made.kill()


def test_exec(shared):
    result = shared.exec("echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)
    assert result.duration_ms >= 0
    assert shared.commands.run("printf 'é\\n☃'", timeout=10).stdout == "é\n☃"
    assert shared.exec("kill -9 $$").exit_code == 137
    assert shared.exec("/work/nothing-there").exit_code == 127
    assert shared.exec("mkdir -p /tmp/dir; /tmp/dir").exit_code == 126
    with pytest.raises(CommandFailed) as failed:
        shared.exec("echo why >&2; exit 4", check=True)
    assert failed.value.exit_code == 4 and failed.value.stderr == "why\n"
    with pytest.raises(BadRequestError):
        shared.exec("")


def test_timeout(shared):
    began = time.monotonic()
    with pytest.raises(SandboxTimeout):
        shared.exec("echo begun; setsid sleep 987 & sleep 987", timeout_seconds=1)
    assert time.monotonic() - began < 20
    still = shared.exec("for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done | grep -c '^sleep 987' || true")
    assert still.stdout == "0\n"


def test_exec_stream(shared):
    out, err = [], []
    # U+0085 and U+2028 end a line for this client's reader.
    code = shared.exec_stream("printf 'a\\nb é \\302\\205 \\342\\200\\250 z'; echo bad >&2; exit 5", out.append, err.append)
    assert (code, "".join(out), "".join(err)) == (5, "a\nb é \u0085 \u2028 z", "bad\n")
    with pytest.raises(SandboxTimeout):
        shared.exec_stream("sleep 900", timeout_seconds=1)
    with pytest.raises(NotFoundError):
        Sandbox("nope", "", 1, 1, "", _client=shared._client).exec_stream("true")


def test_exec_stream_is_live(shared):
    seen = []
    shared.exec_stream("echo first; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last",
                       lambda chunk: (seen.append(chunk), shared.filesystem.write("/tmp/go", b"")))
    assert "".join(seen) == "first\nlast\n"


def test_run_code(shared):
    assert shared.run_code("print(2 + 2)").stdout == "4\n"
    assert shared.run_code("echo $((2 + 2))", "bash").stdout == "4\n"
    assert shared.run_code("import sys; sys.exit(2)").exit_code == 2


def test_code_context(shared):
    with shared.create_code_context() as context:
        assert context.run_code("x = 41").exit_code == 0
        assert context.run_code("x + 1").text == "42"
        assert context.run_code("print('né')").stdout == "né\n"
        bad = context.run_code("1/0")
        assert bad.exit_code == 1 and "ZeroDivisionError" in bad.stderr and bad.error
        rich = context.run_code(
            "class T:\n def _repr_html_(self): return '<b>t</b>'\n def _repr_png_(self): return b'\\x89PNG'\nT()"
        )
        assert rich.results[0].html == "<b>t</b>"
        assert base64.b64decode(rich.results[0].png) == b"\x89PNG" and rich.png == rich.results[0].chart
        with pytest.raises(SandboxTimeout):
            context.run_code("while True: pass", timeout_seconds=1)
        assert context.run_code("x").text == "41"
    with pytest.raises(NotFoundError):
        context.run_code("x")


def test_files(shared, tmp_path):
    fs = shared.filesystem
    data = bytes(range(256)) * 1000
    assert fs.write("/made/for this/né & #%.bin", data)["bytes"] == len(data)
    assert fs.read("/made/for this/né & #%.bin") == data
    fs.write("/made/empty", b"")
    assert fs.read("/made/empty") == b""
    fs.write("/made/text", "tëxt")
    assert fs.read("/made/text") == "tëxt".encode()
    fs.write("/made/text", "t")
    info = fs.stat("/made/text")
    assert (info.name, info.path, info.is_dir, info.size) == ("text", "/made/text", False, 1)
    assert abs(info.mtime - time.time()) < 60 and info.mode
    assert {(f.name, f.path, f.is_dir) for f in fs.listdir("/made")} == {
        ("for this", "/made/for this", True), ("empty", "/made/empty", False), ("text", "/made/text", False),
    }
    assert sorted(f.path for _, _, files in fs.walk("/made") for f in files) == [
        "/made/empty", "/made/for this/né & #%.bin", "/made/text",
    ]
    assert fs.exists("/made") and not fs.exists("/unmade")
    assert "etc" in [f.name for f in fs.listdir()]
    for missing in (fs.read, fs.stat, fs.listdir):
        with pytest.raises(NotFoundError):
            missing("/unmade")
    for path in ("/made", "relative", ""):
        with pytest.raises(BadRequestError):
            fs.read(path)
    (tmp_path / "local").write_bytes(data)
    fs.upload(str(tmp_path / "local"), "/made/up")
    fs.download("/made/up", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


def test_large_file(shared):
    data = os.urandom(40 << 20)  # beyond what the vendor's own server takes
    shared.filesystem.write("/tmp/large", data)
    assert shared.filesystem.read("/tmp/large") == data


def test_logs(sandbox):
    sandbox.exec("echo one; echo two >&2; echo né")
    assert sorted(sandbox.logs()) == ["né", "one", "two"]
    assert list(sandbox.logs(stream="stderr")) == ["two"]
    following = sandbox.logs(follow=True)
    got = ""
    while "né" not in got:
        got += next(following)


def test_lifecycle(sandbox):
    life = sandbox.lifecycle()
    assert life["ttl_seconds"] == 90 and life["persistent"] is False and life["idle_seconds"] >= 0
    assert sandbox.set_ttl(900)["ttl_seconds"] == 900
    assert sandbox.set_persistent(True)["persistent"] is True
    assert sandbox.refresh().persistent


def test_pause(sandbox):
    sandbox.exec("sleep 500 & echo $! > /tmp/pid")
    sandbox.pause()
    assert sandbox.refresh().status == "paused"
    with pytest.raises(BadRequestError):
        sandbox.exec("true")
    sandbox.resume()
    assert sandbox.refresh().status == "running"
    assert sandbox.exec("echo again").stdout == "again\n"


def test_hibernate(sandbox):
    sandbox.filesystem.write("/work/kept", b"kept")
    sandbox.hibernate()
    assert sandbox.refresh().status == "hibernated"
    assert sandbox.filesystem.read("/work/kept") == b"kept"  # its use wakes it
    sandbox.hibernate()
    sandbox.wake()
    assert sandbox.refresh().status == "running"


def test_snapshots(client, sandbox):
    sandbox.filesystem.write("/work/state", b"then")
    snapshot = sandbox.snapshot()
    try:
        sandbox.filesystem.write("/work/state", b"now")
        assert client.snapshots.get(snapshot)["sandbox_id"] == sandbox.id
        assert snapshot in [s["id"] for s in client.snapshots.list()]
        assert [s["id"] for s in client.snapshots.list(sandbox_id=sandbox.id)] == [snapshot]
        with client.sandboxes.create(from_snapshot=snapshot, template=TEMPLATE, ttl_seconds=60) as later:
            assert later.from_snapshot == snapshot
            assert later.filesystem.read("/work/state") == b"then"
    finally:
        client.snapshots.delete(snapshot)
    with pytest.raises(NotFoundError):
        client.snapshots.get(snapshot)


def test_forks(client, sandbox):
    context = sandbox.create_code_context()
    context.run_code("x = 'before'")
    child = sandbox.fork(metadata={"branch": "1"})
    assert child.id != sandbox.id and child.status == "running" and child.template == TEMPLATE
    assert child.metadata["branch"] == "1" and child.metadata["fork_tree_id"]
    child.kill()
    children = sandbox.fork_tree(3)
    assert len({c.id for c in children}) == 3
    for n, child in enumerate(children):
        child.filesystem.write("/work/mine", str(n))
    assert [c.filesystem.read("/work/mine") for c in children] == [b"0", b"1", b"2"]
    assert not sandbox.filesystem.exists("/work/mine")
    said = children[1].promote(cleanup_siblings=True)
    assert said["winner"] == children[1].id and sorted(said["deleted"]) == sorted([children[0].id, children[2].id])
    assert {s.id for s in client.sandboxes.list()} >= {sandbox.id, children[1].id}
    children[1].kill()


def test_explore(sandbox):
    sandbox.filesystem.write("/work/base", b"1")
    found = sandbox.explore(
        [
            "echo greedy > /work/answer; echo 3",
            "exit 1",
            Candidate.shell("best", "sh -c 'echo dp > /work/answer; echo $N'", env={"N": "9"}),
            Candidate.shell("slow", "sleep 300", timeout_s=1),
        ],
        score_fn=lambda sb, outcome: float(outcome.stdout_tail or 0),
    )
    try:
        assert found.errors == [] and found.reap_failures == {}
        assert found.winner_outcome.label == "best" and found.winner_outcome.files_changed == ["/work/answer"]
        assert found.winner.filesystem.read("/work/answer") == b"dp\n"
        assert len(found.reaped) == 3 and found.tree_id
        assert [o.timed_out for o in found.outcomes if o.label == "slow"] == [True]
    finally:
        found.winner.kill()


def test_templates(client):
    names = [t.name for t in client.templates.list()]
    assert TEMPLATE in names
    assert client.templates.get(TEMPLATE).size_bytes > 0
    with pytest.raises(NotFoundError):
        client.templates.get("there-is-no-such-template")


def test_preview_url(shared):
    assert shared.preview_url(8080).startswith(f"https://8080-{shared.id}.")
    assert len(f"65535-{shared.id}") <= 63  # one DNS label


def test_ports(sandbox):
    sandbox.exec("cd /tmp && (python3 -m http.server 8124 >/dev/null 2>&1 &)")
    for _ in range(200):
        if 8124 in sandbox.preview_urls():
            break
        time.sleep(0.05)
    assert sandbox.preview_urls()[8124] == sandbox.preview_url(8124)


def test_tokens(client):
    made = client.tokens.create("surface", expires_in_days=1)
    assert made.token.startswith("pds_") and made.token.startswith(made.prefix)
    assert ("surface", made.prefix) in [(t.name, t.prefix) for t in client.tokens.list()]
    other = Client(api_key=made.token)
    assert other.me()["user_id"] == client.me()["user_id"]
    client.tokens.revoke(made.prefix)
    with pytest.raises(AuthError):
        other.me()


def test_template_build(client, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "note.txt").write_text("from the context")
    (tmp_path / "Dockerfile").write_text(f"FROM {TEMPLATE}\nCOPY data/note.txt /opt/note.txt\nRUN echo said > /opt/ran\n")
    name = "pandastack-" + os.urandom(4).hex()
    build = client.templates.build_from_dockerfile(name, str(tmp_path / "Dockerfile"), context_dir=str(tmp_path))
    try:
        assert list(client.templates.build_logs(build.id))
        assert client.templates.wait_for_build(build.id, poll_interval=0.2).is_done
        assert client.templates.get_build(build.id).name == name
        assert build.id in [b.id for b in client.templates.builds()]
        with client.sandboxes.create(template=name, ttl_seconds=60) as made:
            assert made.exec("cat /opt/note.txt /opt/ran").stdout == "from the contextsaid\n"
    finally:
        client.templates.delete(name)
    bad = client.templates.build_from_dockerfile(name, f"FROM {TEMPLATE}\nRUN exit 3\n")
    with pytest.raises(TemplateBuildError):
        client.templates.wait_for_build(bad.id, poll_interval=0.2)


def test_what_this_server_has_not(client):
    for call in (
        client.functions.list, client.schedules.list, client.databases.list, client.apps.list, client.volumes.list,
        lambda: client.volumes.create("v", 100),
    ):
        with pytest.raises(ServerError, match="not part of this server"):
            call()
    with pytest.raises(ServerError, match="not part of this server"):
        client.sandboxes.create(template=TEMPLATE, volumes=[{"name": "v"}])


def test_version_under_test():
    assert pandastack.__version__ == os.environ["PANDASTACK_VERSION"]

"""What a server has beside sandboxes: ports, keys, batches, builds."""

from __future__ import annotations

import os
import threading
import time
import urllib.request

import pytest

import brig


def test_ports(sandbox):
    sandbox.filesystem.write("/srv/index.html", "served")
    server = sandbox.start("cd /srv && exec python3 -m http.server 8123")
    for _ in range(200):
        if any(p.port == 8123 and p.listening for p in sandbox.ports.list()):
            break
        time.sleep(0.05)
    assert sandbox.ports.request(8123, path="/index.html").text == "served"
    assert sandbox.ports.request(8123, "HEAD", "/no").status_code == 404
    named = sandbox.ports.name(8123, "web")
    assert (named.label, named.source, named.public) == ("web", "user", False)
    preview = sandbox.ports.preview(8123, ttl_seconds=60)
    if preview.url.startswith("http://127.0.0.1"):
        assert urllib.request.urlopen(preview.url).read() == b"served"
    sandbox.ports.unname(8123)
    server.kill()


def test_watch(sandbox):
    sandbox.filesystem.mkdir("/watched/below")
    ready = threading.Event()
    seen = []

    def watch():
        for change in sandbox.filesystem.watch("/watched", recursive=True, on_ready=ready.set):
            seen.append((change.op, change.name))
            if change.name == "last":
                return

    thread = threading.Thread(target=watch)
    thread.start()
    assert ready.wait(30)
    sandbox.filesystem.write("/watched/below/one", "1")
    sandbox.filesystem.write("/watched/last", "")
    thread.join(30)
    assert not thread.is_alive() and ("create", "below/one") in seen


def test_keys(client):
    key = client.keys.create("p6", ttl_seconds=60, scopes=["read"], style="pandastack")
    assert key.secret.startswith("pds_") and key.secret.startswith(key.prefix) and key.secret not in repr(key)
    assert key.prefix in [k.prefix for k in client.keys.list()]
    if os.environ["BRIG_API"].startswith("http"):
        with brig.Client(api_key=key.secret) as reader:
            reader.sandboxes.list()
            with pytest.raises(brig.AuthError):
                reader.sandboxes.create("python")
    client.keys.revoke(key.prefix)
    assert key.prefix not in [k.prefix for k in client.keys.list()]


DOUBLE = "import json; json.dump(2 * json.load(open('/work/input.json')), open('/work/result.json', 'w'))"


def test_batch(client, template):
    def items():
        for n in range(5):
            yield {"custom_id": f"i{n}", "code": "1/0" if n == 3 else DOUBLE, "input": n}

    batch = client.batches.run(items(), template=template, metadata={"by": "tests"}, timeout_seconds=30)
    found = {r.custom_id: r for r in client.batches.results(batch.id)}
    assert {k: r.result for k, r in found.items() if r.ok} == {"i0": 0, "i1": 2, "i2": 4, "i4": 8}
    assert found["i3"].verdict == "nonzero" and "ZeroDivisionError" in found["i3"].stderr
    done = client.batches.wait(batch.id)
    assert (done.status, done.total, done.completed, done.failed) == ("completed", 5, 4, 1)
    assert done.metadata == {"by": "tests"} and done.verdicts["ok"] == 4
    assert batch.id in [b.id for b in client.batches.list()]
    assert client.batches.wait(client.batches.retry(batch.id).id).failed == 1
    client.batches.delete(batch.id)
    with pytest.raises(brig.NotFoundError):
        client.batches.get(batch.id)


def test_cancelled_batch(client, template):
    slow = [{"custom_id": str(n), "code": "import time; time.sleep(300)"} for n in range(50)]
    batch = client.batches.run(slow, template=template)
    client.batches.cancel(batch.id)
    assert client.batches.wait(batch.id).status == "cancelled"
    client.batches.delete(batch.id)


def test_build(client, template):
    name = "sdk-" + os.urandom(4).hex()
    build = client.templates.build(
        name, dockerfile=f"FROM {template}\nCOPY data/note.txt /opt/note.txt\n", context={"data/note.txt": b"from the context"}, no_bake=True
    )
    try:
        log = list(client.templates.build_logs(build.id))
        done = client.templates.wait_for_build(build.id)
        assert done.status == "done" and done.digest and log
        assert build.id in [b.id for b in client.templates.builds()]
        with client.sandboxes.create(name, ttl_seconds=60) as made:
            assert made.filesystem.read("/opt/note.txt") == b"from the context"
    finally:
        client.templates.delete(name)
    bad = client.templates.build(name, dockerfile=f"FROM {template}\nRUN exit 3\n")
    with pytest.raises(brig.ServerError, match="cannot build"):
        client.templates.wait_for_build(bad.id)

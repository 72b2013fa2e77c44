"""The sample programs of the domain, written against the published package."""

from __future__ import annotations

import base64
import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor

import pytest
from pandastack import Client, NotFoundError, Sandbox, SandboxTimeout

TEMPLATE = os.environ.get("BRIG_SAMPLE_TEMPLATE") or os.environ["BRIG_TEMPLATE"]
WORKERS = 32

GOOD = """\
import json
data = json.load(open("input.json"))
json.dump({"sum": sum(data["values"]), "text": data["text"]}, open("result.json", "w"))
"""
BROKEN = "raise ValueError('this item is bad')\n"
HANGS = "while True: pass\n"


def items():
    """Every eighth program is broken, and one of them hangs."""
    for i in range(48):
        code = HANGS if i == 21 else BROKEN if i % 8 == 3 else GOOD
        yield {"id": i, "kind": "post-process", "code": code, "values": list(range(i)), "text": f"né {i}"}


def run_one(client, item):
    sandbox = client.sandboxes.create(template=TEMPLATE, ttl_seconds=60, metadata={"item_id": item["id"], "kind": item["kind"]})
    try:
        given = json.dumps({"values": item["values"], "text": item["text"]})
        sandbox.filesystem.write("/work/input.json", given.encode())
        sandbox.filesystem.write("/work/run.py", item["code"].encode())
        result = sandbox.exec("cd /work && python3 run.py", timeout_seconds=4)
        if result.exit_code != 0:
            return {"id": item["id"], "ok": False, "error": result.stderr[-500:]}
        raw = sandbox.filesystem.read("/work/result.json")
        assert isinstance(raw, bytes)
        return {"id": item["id"], "ok": True, "result": json.loads(raw)}
    except SandboxTimeout as error:
        return {"id": item["id"], "ok": False, "error": str(error)}
    finally:
        sandbox.kill()


def test_fan_out():
    """A pool of 32, a sandbox for each item, destroyed in any case."""
    client = Client()
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        results = list(pool.map(lambda item: run_one(client, item), items()))
    assert [r["id"] for r in results] == list(range(48))
    for item, got in zip(items(), results):
        if item["code"] is GOOD:
            assert got == {"id": item["id"], "ok": True, "result": {"sum": sum(item["values"]), "text": item["text"]}}
        else:
            assert not got["ok"]
            assert ("this item is bad" if item["code"] is BROKEN else "timed out") in got["error"], got
    left = [s for s in client.sandboxes.list() if "item_id" in s.metadata]
    assert left == []


def test_context_manager():
    with Sandbox.create(template=TEMPLATE, ttl_seconds=60) as sandbox:
        sandbox.filesystem.write("/tmp/task.py", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
        result = sandbox.exec("python3 /tmp/task.py", timeout_seconds=20)
        assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    with pytest.raises(NotFoundError):
        sandbox.exec("true")


class Provider:
    """The four calls of an agent's provider. A directory comes out as a tar in base64,
    since a command's output is text."""

    def __init__(self):
        self.sandbox = Sandbox.create(template=TEMPLATE, ttl_seconds=60)

    def execute(self, command):
        return self.sandbox.exec(command, timeout_seconds=20)

    def upload_file(self, path, content):
        self.sandbox.filesystem.write(path, content)

    def download_file(self, path):
        packed = self.execute(f"tar -cf - -C / {shlex.quote(path.lstrip('/'))} | base64 -w0")
        assert packed.exit_code == 0, packed.stderr
        return base64.b64decode(packed.stdout)

    def cleanup(self):
        self.sandbox.kill()


def test_provider():
    import io
    import tarfile

    provider = Provider()
    try:
        data = os.urandom(300_000)
        provider.upload_file("/data/in.bin", data)
        assert provider.execute("cat /data/in.bin /data/in.bin > /data/out.bin").exit_code == 0
        with tarfile.open(fileobj=io.BytesIO(provider.download_file("/data/out.bin"))) as tar:
            assert tar.extractfile("data/out.bin").read() == data + data
    finally:
        provider.cleanup()

"""The sample programs of the domain, in the names that their authors use."""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from brig import BrigProvider, NotFoundError, PandaStack, Provider, Sandbox

GOOD = "import json; d = json.load(open('input.json')); json.dump({'n': d['n'] * 2, 't': d['t']}, open('result.json', 'w'))"
BROKEN = "raise ValueError('this item is bad')"
HANGS = "print('begun', flush=True)\nwhile True: pass"


def items():
    for i in range(48):
        yield {"id": i, "kind": "post-process", "code": HANGS if i == 21 else BROKEN if i % 8 == 3 else GOOD}


def run_one(client, template, item):
    sandbox = client.sandboxes.create(template=template, ttl_seconds=60, metadata={"item_id": item["id"], "kind": item["kind"]})
    try:
        sandbox.filesystem.write("/work/input.json", json.dumps({"n": item["id"], "t": "né"}).encode())
        sandbox.filesystem.write("/work/run.py", item["code"].encode())
        result = sandbox.exec("cd /work && python3 run.py", timeout_seconds=4)
        if result.exit_code != 0:
            return {"id": item["id"], "ok": False, "code": result.exit_code, "said": (result.stdout + result.stderr)[-500:]}
        raw = sandbox.filesystem.read("/work/result.json")
        assert isinstance(raw, bytes)
        return {"id": item["id"], "ok": True, "result": json.loads(raw)}
    finally:
        sandbox.delete()


def test_fan_out(client, template):
    """A pool of 32, a sandbox for each item, destroyed in any case."""
    panda = PandaStack()
    with ThreadPoolExecutor(max_workers=32) as pool:
        results = list(pool.map(lambda item: run_one(panda, template, item), items()))
    for item, got in zip(items(), results):
        assert got["id"] == item["id"]
        if item["code"] is GOOD:
            assert got["result"] == {"n": item["id"] * 2, "t": "né"}
        elif item["code"] is BROKEN:
            assert got["code"] == 1 and "this item is bad" in got["said"]
        else:
            assert got["code"] == 124 and got["said"] == "begun\n"
    assert panda.sandboxes.list(metadata={"kind": "post-process"}) == []
    panda.close()


def test_context_manager(client, template):
    with Sandbox.create(template=template, ttl_seconds=60) as sandbox:
        sandbox.filesystem.write("/tmp/task.py", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
        result = sandbox.exec("python3 /tmp/task.py", timeout_seconds=20)
        assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    with pytest.raises(NotFoundError):
        sandbox.exec("true")
    sandbox.delete()  # as in a finally: what is gone is gone


def test_provider(client, template):
    def pack(place: Provider, path: str) -> bytes:
        """A directory out through a command's output, which is text."""
        packed = place.execute(f"tar -cf - -C / {shlex.quote(path.lstrip('/'))} | base64 -w0", timeout_seconds=20)
        assert packed.exit_code == 0, packed.stderr
        return base64.b64decode(packed.stdout)

    data = os.urandom(300_000)
    with BrigProvider(template, client=client, ttl_seconds=60) as place:
        place.upload_file("/data/in.bin", data)
        assert place.execute("cat /data/in.bin /data/in.bin > /data/out.bin").ok
        assert place.download_file("/data/out.bin") == data + data
        with tarfile.open(fileobj=io.BytesIO(pack(place, "/data/out.bin"))) as tar:
            assert tar.extractfile("data/out.bin").read() == data + data
        gone = place.sandbox()
    place.cleanup()
    with pytest.raises(NotFoundError):
        gone.exec("true")

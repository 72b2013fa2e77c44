"""The asynchronous half is what the synchronous one is made from: here is what asyncio
adds, many things at once and giving up."""

from __future__ import annotations

import asyncio
import os

import pytest

import brig
from brig import AsyncBrigProvider, AsyncClient, AsyncSandbox


def in_sandbox(template, test):
    async def main():
        async with AsyncClient() as client:
            async with await AsyncSandbox.create(template, client=client, ttl_seconds=120) as sandbox:
                return await test(sandbox)

    return asyncio.run(main())


def test_many_at_once(client, template):
    async def test(sandbox):
        results = await asyncio.gather(*[sandbox.exec(f"sleep 0.2; echo {n}") for n in range(20)])
        return [int(r.stdout) for r in results]

    assert in_sandbox(template, test) == list(range(20))


@pytest.mark.parametrize("call", ["exec", "exec_stream"])
def test_a_caller_that_gives_up_ends_its_program(client, template, call):
    async def test(sandbox):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(getattr(sandbox, call)("echo $$ > /tmp/pid; exec sleep 900"), 1)
        for _ in range(100):
            if not (await sandbox.exec("kill -0 $(cat /tmp/pid)")).ok:
                return True
            await asyncio.sleep(0.05)
        return False

    assert in_sandbox(template, test)


def test_streams(client, template, tmp_path):
    data = os.urandom(3 << 20)
    (tmp_path / "in").write_bytes(data)

    async def test(sandbox):
        async def pieces():
            for start in range(0, len(data), 100_000):
                yield data[start : start + 100_000]

        await sandbox.filesystem.write("/tmp/pieces", pieces())
        await sandbox.filesystem.upload(tmp_path / "in", "/tmp/up")
        await sandbox.filesystem.download("/tmp/up", tmp_path / "out")
        said = []
        process = await sandbox.start("cat", open_stdin=True)
        await process.write("x", eof=True)
        async for piece in process.output():
            said.append(piece.data)
        cell = []
        await sandbox.run_code("print(1)", on_event=cell.append)
        await sandbox.exec_stream("echo 2", said.append)
        assert (await sandbox.filesystem.read("/tmp/pieces")) == data
        return said, [e.stdout for e in cell]

    assert in_sandbox(template, test) == ([b"x", "2\n"], ["1\n"])
    assert (tmp_path / "out").read_bytes() == data


def test_shared_client_of_each_loop(client, template):
    async def main():
        async with await AsyncSandbox.create(template, ttl_seconds=60) as sandbox:
            return (await sandbox.exec("echo hi")).stdout

    assert [asyncio.run(main()) for _ in range(2)] == ["hi\n"] * 2


def test_provider(client, template):
    async def main():
        async with AsyncClient() as own:
            async with AsyncBrigProvider(template, client=own, ttl_seconds=60) as place:
                first, second = await asyncio.gather(place.sandbox(), place.sandbox())
                assert first is second
                await place.upload_file("/data/x", b"\x00\xff")
                assert (await place.execute("cp /data/x /data/y")).ok
                return await place.download_file("/data/y")

    assert asyncio.run(main()) == b"\x00\xff"


def test_errors(client):
    async def main():
        async with AsyncClient() as own:
            with pytest.raises(brig.NotFoundError):
                await own.sandboxes.get("nope")

    asyncio.run(main())

"""What a client that loses its connection sees: nothing of it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
from urllib.parse import urlsplit

import pytest

import brig

SIZE = 2_000_000
SCRIPT = f"import random, sys; sys.stdout.write(''.join(random.Random(7).choices('aé☃\\n', k={SIZE})))"


class Cutter:
    """Passes connections on to the server and cuts each after so many bytes of answers,
    as often as it is told."""

    def __init__(self, to, after, times):
        self.to, self.after, self.times, self.cuts = to, after, times, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.to)
            for args in ((near, far, None), (far, near, self.after)):
                thread = threading.Thread(target=self.copy, args=args)
                self.threads.append(thread)
                thread.start()

    def copy(self, source, target, left):
        try:
            while True:
                data = source.recv(65536)
                if left is not None and self.cuts < self.times:
                    left -= len(data)
                    if left < 0:
                        self.cuts += 1
                        break
                if not data:
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)


@pytest.fixture
def cutter(client):
    made = []

    def make(after, times):
        at = urlsplit(os.environ["BRIG_API"])
        if at.scheme != "http":
            pytest.skip("needs a server on TCP")
        made.append(Cutter((at.hostname, at.port), after, times))
        return made[-1]

    yield make
    for one in made:
        one.close()


def wanted(sandbox):
    return sandbox.exec(["sh", "-c", "python3 -c \"$0\" | sha256sum", SCRIPT]).stdout.split()[0]


def test_a_stream_goes_on_where_it_was(cutter, sandbox):
    cut = cutter(400_000, 4)
    digest = hashlib.sha256()
    with brig.Client(api_url=cut.url) as far:
        result = far.sandboxes.get(sandbox.id).exec_stream(["python3", "-c", SCRIPT], lambda text: digest.update(text.encode()))
    assert result.exit_code == 0 and cut.cuts == 4 and digest.hexdigest() == wanted(sandbox)


def test_output_goes_on_where_it_was(cutter, sandbox):
    cut = cutter(400_000, 4)

    async def main():
        async with brig.AsyncClient(api_url=cut.url) as far:
            process = await (await far.sandboxes.get(sandbox.id)).start(["python3", "-c", SCRIPT])
            digest, lost = hashlib.sha256(), 0
            async for piece in process.output():
                digest.update(piece.data)
                lost += piece.lost
            return digest.hexdigest(), lost, (await process.wait()).exit_code

    assert asyncio.run(main()) == (wanted(sandbox), 0, 0) and cut.cuts == 4


def test_one_sandbox_is_made_when_the_answer_is_lost(cutter, client, template):
    cut = cutter(0, 1)
    mark = os.urandom(4).hex()
    with brig.Client(api_url=cut.url) as far:
        with far.sandboxes.create(template, ttl_seconds=60, metadata={"mark": mark}) as made:
            assert [s.id for s in client.sandboxes.list(metadata={"mark": mark})] == [made.id]
    assert cut.cuts == 1


def test_a_file_is_whole_or_an_error(cutter, sandbox):
    data = os.urandom(1_000_000)
    sandbox.filesystem.write("/tmp/data", data)
    with brig.Client(api_url=cutter(300_000, 1).url) as far:
        there = far.sandboxes.get(sandbox.id).filesystem
        with pytest.raises(brig.APIConnectionError):
            there.read("/tmp/data")
        assert there.read("/tmp/data") == data

"""Batches that the server runs, in the words of OpenAI's Batch API."""

from __future__ import annotations

import json
from typing import Any, AsyncIterator, Iterable, Mapping, Optional, Union

from .. import _aio, _wire
from ..errors import APIConnectionError
from ..jobs import Batch, BatchResult, Upload
from .transport import AsyncTransport, pieces_of

Items = Union[bytes, Iterable[Mapping[str, Any]]]


class AsyncBatches:
    """Batches that the server runs: they go on when the caller goes away. Each item runs
    alone in a sandbox and leaves exactly one result."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def _path(self, *parts: str) -> str:
        return _wire.path("batches", *parts)

    async def upload(self, items: Items, *, filename: str = "items.jsonl") -> Upload:
        """Uploads items: the bytes of a file, or mappings with custom_id and code, of
        which only a few are in memory at a time."""
        content = items if isinstance(items, bytes) else _lines(items)
        return Upload.from_json(await self._transport.post_bytes(_wire.path("files"), content, params={"filename": filename}))

    async def create(self, input_file_id: str, **options: Any) -> Batch:
        """Begins a batch over an upload. Options: template, timeout_seconds, concurrency,
        attempts, metadata, completion_window, limit, sample, max_failures, artifacts, …"""
        body = {"input_file_id": input_file_id, **options}
        return Batch.from_json(await self._transport.call("POST", self._path(), body=body))

    async def run(self, items: Items, **options: Any) -> Batch:
        """``upload`` and ``create`` in one."""
        return await self.create((await self.upload(items)).id, **options)

    async def get(self, batch_id: str) -> Batch:
        """How a batch is."""
        return Batch.from_json(await self._transport.call("GET", self._path(batch_id)))

    async def list(self) -> AsyncIterator[Batch]:
        """The caller's batches, the newest first."""
        after: Optional[str] = None
        while True:
            page = await self._transport.call("GET", self._path(), params=_wire.without_none({"after": after, "limit": 100}))
            for batch in page["data"]:
                yield Batch.from_json(batch)
            if not page.get("has_more"):
                return
            after = str(page["last_id"])

    async def wait(self, batch_id: str, *, poll_seconds: float = 0.5) -> Batch:
        """Waits for its end."""
        while True:
            batch = await self.get(batch_id)
            if batch.final:
                return batch
            await _aio.sleep(poll_seconds)

    async def results(self, batch_id: str, *, follow: bool = True) -> AsyncIterator[BatchResult]:
        """The results as they come, in no order, until the batch has ended; without
        ``follow`` those that there are. When items are retried meanwhile one may come
        twice: the later one counts. A connection that breaks is made again."""
        offset = failures = 0
        while True:
            params = {"offset": offset, "follow": "1" if follow else "0"}
            try:
                async with self._transport.stream("GET", self._path(batch_id, "results"), params=params) as response:
                    rest = b""
                    async for piece in pieces_of(response):
                        *lines, rest = (rest + piece).split(b"\n")
                        for line in lines:
                            offset, failures = offset + len(line) + 1, 0
                            yield BatchResult.from_json(json.loads(line))
                return
            except APIConnectionError as error:
                # Silence is no failure: the next result may take long.
                failures += not _wire.silent(error)
                if failures > _wire.RECONNECTS:
                    raise
                await _aio.sleep(0.1 * 2**failures)

    async def cancel(self, batch_id: str) -> Batch:
        """Ends it; what is done keeps its result."""
        return Batch.from_json(await self._transport.call("POST", self._path(batch_id, "cancel")))

    async def retry(self, batch_id: str, **options: Any) -> Batch:
        """Runs what failed, or has no result, again."""
        return Batch.from_json(await self._transport.call("POST", self._path(batch_id, "retry"), body=options))

    async def delete(self, batch_id: str) -> None:
        """Removes one that has ended, with its results."""
        await self._transport.remove(self._path(batch_id))


async def _lines(items: Iterable[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    for item in items:
        yield json.dumps(item).encode() + b"\n"

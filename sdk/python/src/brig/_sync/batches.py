# Made by generate.py from _async/batches.py; change that.
"""Batches that the server runs, in the words of OpenAI's Batch API."""

from __future__ import annotations

import json
from typing import Any, Iterator, Iterable, Mapping, Optional, Union

from .. import _sio, _wire
from ..errors import APIConnectionError
from ..jobs import Batch, BatchResult, Upload
from .transport import Transport, pieces_of

Items = Union[bytes, Iterable[Mapping[str, Any]]]


class Batches:
    """Batches that the server runs: they go on when the caller goes away. Each item runs
    alone in a sandbox and leaves exactly one result."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, *parts: str) -> str:
        return _wire.path("batches", *parts)

    def upload(self, items: Items, *, filename: str = "items.jsonl") -> Upload:
        """Uploads items: the bytes of a file, or mappings with custom_id and code, of
        which only a few are in memory at a time."""
        content = items if isinstance(items, bytes) else _lines(items)
        return Upload.from_json(self._transport.post_bytes(_wire.path("files"), content, params={"filename": filename}))

    def create(self, input_file_id: str, **options: Any) -> Batch:
        """Begins a batch over an upload. Options: template, timeout_seconds, concurrency,
        attempts, metadata, completion_window, limit, sample, max_failures, artifacts, …"""
        body = {"input_file_id": input_file_id, **options}
        return Batch.from_json(self._transport.call("POST", self._path(), body=body))

    def run(self, items: Items, **options: Any) -> Batch:
        """``upload`` and ``create`` in one."""
        return self.create((self.upload(items)).id, **options)

    def get(self, batch_id: str) -> Batch:
        """How a batch is."""
        return Batch.from_json(self._transport.call("GET", self._path(batch_id)))

    def list(self) -> Iterator[Batch]:
        """The caller's batches, the newest first."""
        after: Optional[str] = None
        while True:
            page = self._transport.call("GET", self._path(), params=_wire.without_none({"after": after, "limit": 100}))
            for batch in page["data"]:
                yield Batch.from_json(batch)
            if not page.get("has_more"):
                return
            after = str(page["last_id"])

    def wait(self, batch_id: str, *, poll_seconds: float = 0.5) -> Batch:
        """Waits for its end."""
        while True:
            batch = self.get(batch_id)
            if batch.final:
                return batch
            _sio.sleep(poll_seconds)

    def results(self, batch_id: str, *, follow: bool = True) -> Iterator[BatchResult]:
        """The results as they come, in no order, until the batch has ended; without
        ``follow`` those that there are. When items are retried meanwhile one may come
        twice: the later one counts. A connection that breaks is made again."""
        offset = failures = 0
        while True:
            params = {"offset": offset, "follow": "1" if follow else "0"}
            try:
                with self._transport.stream("GET", self._path(batch_id, "results"), params=params) as response:
                    rest = b""
                    for piece in pieces_of(response):
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
                _sio.sleep(0.1 * 2**failures)

    def cancel(self, batch_id: str) -> Batch:
        """Ends it; what is done keeps its result."""
        return Batch.from_json(self._transport.call("POST", self._path(batch_id, "cancel")))

    def retry(self, batch_id: str, **options: Any) -> Batch:
        """Runs what failed, or has no result, again."""
        return Batch.from_json(self._transport.call("POST", self._path(batch_id, "retry"), body=options))

    def delete(self, batch_id: str) -> None:
        """Removes one that has ended, with its results."""
        self._transport.remove(self._path(batch_id))


def _lines(items: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for item in items:
        yield json.dumps(item).encode() + b"\n"

"""``amap``: one sandbox for each item, on one event loop."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Optional, Set, Tuple, Union

from ._async.client import AsyncClient
from ._async.default import default_client
from ._async.sandbox import AsyncSandbox
from .errors import BrigError
from .mapping import MAP_TTL_SECONDS, Book, ItemResult, Key, ProgressTo, again, failed, hopeless

AsyncWork = Callable[[AsyncSandbox, Any], Awaitable[Any]]


async def amap(
    work: AsyncWork,
    items: Union[Iterable[Any], AsyncIterable[Any]],
    *,
    concurrency: int = 8,
    template: Optional[str] = None,
    key: Key = None,
    resume: Union[str, "os.PathLike[str]", None] = None,
    progress: ProgressTo = None,
    attempts: int = 2,
    client: Optional[AsyncClient] = None,
    **options: Any,
) -> AsyncIterator[ItemResult]:
    """``map`` for ``async def work``. A caller who stops early cancels what runs, and its
    sandboxes are destroyed."""
    book = Book(items, key, resume, progress)
    running: Set[asyncio.Task[ItemResult]] = set()
    chosen = client or default_client()
    options.setdefault("ttl_seconds", MAP_TTL_SECONDS)
    source = _numbered(items)

    async def one(name: str, item: Any) -> ItemResult:
        began = time.monotonic()
        for attempt in range(1, attempts + 1):
            try:
                value = await _in_sandbox(chosen, template, options, work, item)
                return ItemResult(name, True, value, attempts=attempt, seconds=time.monotonic() - began)
            except _Hopeless:
                raise
            except Exception as error:
                if attempt == attempts or not again(error):
                    return failed(name, error, attempt, time.monotonic() - began)
        raise ValueError("attempts must be at least 1")

    try:
        more = True
        while more or running:
            while more and len(running) < concurrency:
                try:
                    position, item = await source.__anext__()
                except StopAsyncIteration:
                    more = False
                    break
                name = book.key_of(position, item)
                old = book.old(name)
                if old is None:
                    running.add(asyncio.create_task(one(name, item)))
                else:
                    yield book.add(old, len(running))
            if running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for result in [book.add(task.result(), len(running)) for task in done]:
                    yield result
    except _Hopeless as error:
        raise error.reason from None
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        book.close()


async def _numbered(items: Union[Iterable[Any], AsyncIterable[Any]]) -> AsyncIterator[Tuple[int, Any]]:
    position = 0
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield position, item
            position += 1
        return
    for item in items:
        yield position, item
        position += 1


class _Hopeless(Exception):
    def __init__(self, reason: BrigError) -> None:
        self.reason = reason


async def _in_sandbox(client: AsyncClient, template: Optional[str], options: Any, work: AsyncWork, item: Any) -> Any:
    try:
        sandbox = await client.sandboxes.create(template, **options)
    except BrigError as error:
        if hopeless(error):
            raise _Hopeless(error) from None
        raise
    async with sandbox:
        return await work(sandbox, item)

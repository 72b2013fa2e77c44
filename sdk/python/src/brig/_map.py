"""``map``: one sandbox for each item, on threads."""

from __future__ import annotations

import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Callable, Iterable, Iterator, Optional, Set, Union

from ._sync.client import Client
from ._sync.default import default_client
from ._sync.sandbox import Sandbox
from .errors import BrigError
from .mapping import MAP_TTL_SECONDS, Book, ItemResult, Key, ProgressTo, again, failed, hopeless

Work = Callable[[Sandbox, Any], Any]


def map(
    work: Work,
    items: Iterable[Any],
    *,
    concurrency: int = 8,
    template: Optional[str] = None,
    key: Key = None,
    resume: Union[str, "os.PathLike[str]", None] = None,
    progress: ProgressTo = None,
    attempts: int = 2,
    client: Optional[Client] = None,
    **options: Any,
) -> Iterator[ItemResult]:
    """Calls ``work(sandbox, item)`` for each item, in a sandbox of its own, and gives
    each result as it comes.

    Nothing happens before the first result is asked for. At most ``concurrency`` items
    are taken from ``items`` ahead of the results, so that it may be endless; a caller
    who stops early waits for those. What ``work`` raises is the item's ``error``. When
    Brig loses a sandbox, the item runs again in a new one, up to ``attempts`` times in
    all. A request for sandboxes that cannot be right ends the map with its error.

    With ``resume``, the path of a file, each result is kept there, as a line of JSON,
    before it is given. The next map with that file gives the good ones from it and runs
    the others. Items are known by ``key(item)``; default: their custom_id or id, else
    their position. ``progress`` is True for a line on stderr, or is called with Progress.
    ``options`` are those of ``Sandboxes.create``; ttl_seconds is 600 unless named.
    """
    book = Book(items, key, resume, progress)
    running: Set[Future[ItemResult]] = set()
    chosen = client or default_client()
    options.setdefault("ttl_seconds", MAP_TTL_SECONDS)
    source = enumerate(items)

    def one(name: str, item: Any) -> ItemResult:
        began = time.monotonic()
        for attempt in range(1, attempts + 1):
            try:
                value = _in_sandbox(chosen, template, options, work, item)
                return ItemResult(name, True, value, attempts=attempt, seconds=time.monotonic() - began)
            except _Hopeless:
                raise
            except Exception as error:
                if attempt == attempts or not again(error):
                    return failed(name, error, attempt, time.monotonic() - began)
        raise ValueError("attempts must be at least 1")

    pool = ThreadPoolExecutor(max(1, concurrency), thread_name_prefix="brig-map")
    try:
        more = True
        while more or running:
            while more and len(running) < concurrency:
                position, item = next(source, (-1, None))
                if position < 0:
                    more = False
                    break
                name = book.key_of(position, item)
                old = book.old(name)
                if old is None:
                    running.add(pool.submit(one, name, item))
                else:
                    yield book.add(old, len(running))
            if running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from [book.add(f.result(), len(running)) for f in done]
    except _Hopeless as error:
        raise error.reason from None
    finally:
        pool.shutdown(wait=True)
        book.close()


class _Hopeless(Exception):
    def __init__(self, reason: BrigError) -> None:
        self.reason = reason


def _in_sandbox(client: Client, template: Optional[str], options: Any, work: Work, item: Any) -> Any:
    try:
        sandbox = client.sandboxes.create(template, **options)
    except BrigError as error:
        if hopeless(error):
            raise _Hopeless(error) from None
        raise
    with sandbox:
        return work(sandbox, item)

"""What differs between the two clients: here for the asynchronous one."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional, TypeVar

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Waits."""
    await asyncio.sleep(seconds)


async def run(call: Callable[..., T], *args: Any) -> T:
    """Makes a call that may block on a disk."""
    return await asyncio.to_thread(call, *args)


def scope() -> object:
    """Connections belong to the event loop that made them."""
    return asyncio.get_running_loop()


class Lock:
    """A lock of the event loop that uses it: asyncio's is of the one that made it, in
    Python 3.9."""

    def __init__(self) -> None:
        self._lock: Optional[asyncio.Lock] = None

    async def __aenter__(self) -> None:
        if self._lock is None:
            self._lock = asyncio.Lock()
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.release()

"""What differs between the two clients: here for the synchronous one."""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Callable, TypeVar

T = TypeVar("T")

Lock = threading.Lock


def sleep(seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


def run(call: Callable[..., T], *args: Any) -> T:
    """Makes a call that may block on a disk."""
    return call(*args)


def scope() -> object:
    """Connections belong to the process that made them."""
    return os.getpid()

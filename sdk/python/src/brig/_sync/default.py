# Made by generate.py from _async/default.py; change that.
"""The client that is used where none is named."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Optional, Tuple

from .. import _sio

if TYPE_CHECKING:
    from .client import Client

_lock = threading.Lock()
_shared: Optional[Tuple[object, Client]] = None


def default_client() -> Client:
    """The shared client, made from the environment when it is first wanted, and anew
    where connections cannot be shared."""
    global _shared
    from .client import Client

    with _lock:
        scope = _sio.scope()
        if _shared is None or _shared[0] != scope:
            _shared = (scope, Client())
        return _shared[1]


def set_default_client(client: Optional[Client]) -> None:
    """Replaces the shared client; None: make a new one when it is wanted."""
    global _shared
    with _lock:
        _shared = None if client is None else (_sio.scope(), client)

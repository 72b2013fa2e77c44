# Made by generate.py from _async/ports.py; change that.
"""Programs in one sandbox that listen on ports."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

import httpx

from .. import _wire
from ..jobs import Port, Preview
from .transport import Transport


class Ports:
    """What listens in one sandbox, and ways to reach it."""

    def __init__(self, transport: Transport, sandbox_id: str) -> None:
        self._transport = transport
        self._id = sandbox_id

    def _path(self, *parts: str) -> str:
        return _wire.path("sandboxes", self._id, *parts)

    def list(self) -> List[Port]:
        """The ports that something listens on, and those that were named."""
        return [Port.from_json(p) for p in self._transport.call("GET", self._path("ports"))]

    def name(self, port: int, label: str = "", *, public: bool = False) -> Port:
        """Gives a port a name; ``public``: everybody who reaches the server may use it."""
        body = {"port": port, "label": label, "public": public}
        return Port.from_json(self._transport.call("POST", self._path("ports"), body=body))

    def unname(self, port: int) -> None:
        """Takes the name, and what it allowed, away."""
        self._transport.remove(self._path("ports", str(port)))

    def request(self, port: int, method: str = "GET", path: str = "/", **options: Any) -> httpx.Response:
        """Sends an HTTP request to a program inside, with the caller's key. The options
        are those of httpx's request; the answer is the program's, whatever its status."""
        return self._transport.request(method, self._path("proxy", str(port)) + "/" + path.lstrip("/"), **options)

    def preview(self, port: int, *, ttl_seconds: Optional[float] = None, paths: Optional[Sequence[str]] = None) -> Preview:
        """Makes a link to a port for who has no key, good for an hour unless told
        otherwise; with ``paths`` only to what is below them."""
        body = _wire.without_none({"port": port, "ttl_seconds": ttl_seconds, "paths": paths})
        return Preview.from_json(self._transport.call("POST", self._path("preview-token"), body=body))

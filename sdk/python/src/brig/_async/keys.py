"""The keys of one server."""

from __future__ import annotations

from typing import List, Optional, Sequence

from .. import _wire
from ..jobs import Key
from .transport import AsyncTransport


class AsyncKeys:
    """The keys of the caller's owner."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        label: str = "",
        *,
        scopes: Optional[Sequence[str]] = None,
        ttl_seconds: Optional[float] = None,
        owner: Optional[str] = None,
        style: Optional[str] = None,
    ) -> Key:
        """Makes one; its ``secret`` is told this once. Scopes are all (the default), read,
        sandboxes, batches, templates, keys, audit, admin; only an admin names another
        owner. ``style`` is how it is written: brig, pandastack or e2b."""
        fields = {"label": label, "scopes": scopes, "ttl_seconds": ttl_seconds, "owner": owner, "style": style}
        return Key.from_json(await self._transport.call("POST", _wire.path("keys"), body=_wire.without_none(fields)))

    async def list(self) -> List[Key]:
        """All of them, without their secrets."""
        return [Key.from_json(k) for k in await self._transport.call("GET", _wire.path("keys"))]

    async def revoke(self, prefix: str) -> None:
        """Makes one worthless at once."""
        await self._transport.remove(_wire.path("keys", prefix))

"""The life of one sandbox: its deadlines, sleep, and kept moments."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from .. import _wire, models
from .transport import AsyncTransport


class AsyncLife:
    """The part of a sandbox that is about its life."""

    def __init__(self, transport: AsyncTransport, info: models.SandboxInfo) -> None:
        self._transport = transport
        self.info = info

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    def _path(self, *parts: str) -> str:
        return _wire.path("sandboxes", self.id, *parts)

    async def _post(self, what: str, body: Optional[Mapping[str, Any]] = None, seconds: float = _wire.CREATE_SECONDS) -> Any:
        return await self._transport.call("POST", self._path(what), body=body, seconds=seconds)

    async def lifecycle(self) -> models.Lifecycle:
        """How long it may live."""
        return models.Lifecycle.from_json(await self._transport.call("GET", self._path("lifecycle")))

    async def _set_lifecycle(self, **change: object) -> models.Lifecycle:
        return models.Lifecycle.from_json(
            await self._transport.call("PATCH", self._path("lifecycle"), body=change, repeatable=True)
        )

    async def set_ttl(self, seconds: float) -> models.Lifecycle:
        """Moves its deadline to so long from now."""
        return await self._set_lifecycle(ttl_seconds=seconds)

    async def set_idle_timeout(self, seconds: float) -> models.Lifecycle:
        """Ends it when nothing used it for so long; 0 = never."""
        return await self._set_lifecycle(idle_timeout_seconds=seconds)

    async def set_persistent(self, persistent: bool) -> models.Lifecycle:
        """Whether it hibernates instead of ending when it is idle."""
        return await self._set_lifecycle(persistent=persistent)

    async def pause(self) -> None:
        """Stops every program in it; the deadline goes on."""
        await self._post("pause")

    async def resume(self) -> None:
        """Lets a paused one go on, and wakes a hibernated one."""
        await self._post("resume")

    async def hibernate(self) -> None:
        """Keeps it on disk only; its next use wakes it."""
        await self._post("hibernate")

    async def wake(self) -> None:
        """Wakes a hibernated one now."""
        await self._post("wake")

    async def snapshot(self, name: str = "", *, ttl_seconds: float = 0) -> models.SnapshotInfo:
        """Keeps this moment of memory, files and programs; 0 = until it is removed. The
        sandbox goes on."""
        return models.SnapshotInfo.from_json(await self._post("snapshots", {"name": name, "ttl_seconds": ttl_seconds}))

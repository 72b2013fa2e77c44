"""A connection to one server, and the collections that it has."""

from __future__ import annotations

import os
import uuid
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type, Union

import httpx

from .. import _wire, models
from .batches import AsyncBatches
from .keys import AsyncKeys
from .sandbox import AsyncSandbox
from .templates import AsyncTemplates
from .transport import AsyncTransport


class AsyncClient:
    """A connection to one server. May be used concurrently; close it, or use ``with``.

    ``api_url``, or ``base_url``, is a URL or the path of a unix socket; default $BRIG_API,
    else the socket of this user's own server. ``api_key`` defaults to $BRIG_API_KEY; a socket needs none.
    Refusals for want of room are sent again for up to ``retry_seconds``. ``http`` is a
    client of httpx to use instead of our own, with base_url and headers set; it is closed
    with this one.
    """

    def __init__(
        self,
        api_url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        base_url: Optional[str] = None,
        retry_seconds: float = 60.0,
        http: Optional[httpx.AsyncClient] = None,
    ) -> None:
        key = api_key if api_key is not None else os.environ.get("BRIG_API_KEY", "")
        self.transport = AsyncTransport(http or _open(api_url or base_url, key), retry_seconds)
        self.sandboxes = AsyncSandboxes(self)
        self.snapshots = AsyncSnapshots(self)
        self.templates = AsyncTemplates(self.transport)
        self.batches = AsyncBatches(self.transport)
        self.keys = AsyncKeys(self.transport)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self.transport.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()

    async def ready(self) -> None:
        """Returns when the server can make sandboxes; else UnavailableError."""
        await self.transport.call("GET", "/readyz")

    async def version(self) -> str:
        """The server's version."""
        return str((await self.transport.call("GET", "/version") or {}).get("version", ""))


def _open(api_url: Optional[str], key: str) -> httpx.AsyncClient:
    address = _wire.address_of(api_url, os.environ)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    return httpx.AsyncClient(
        base_url=address.url,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        transport=httpx.AsyncHTTPTransport(uds=address.socket, limits=limits) if address.socket else None,
        limits=limits,
    )


class AsyncSandboxes:
    """The caller's sandboxes."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(
        self,
        template: Optional[str] = None,
        *,
        from_snapshot: Union[str, models.SnapshotInfo, None] = None,
        ttl_seconds: Optional[float] = None,
        idle_timeout_seconds: Optional[float] = None,
        persistent: Optional[bool] = None,
        metadata: Optional[Mapping[str, object]] = None,
        env: Optional[Mapping[str, str]] = None,
        name: Optional[str] = None,
        cpu: Optional[float] = None,
        memory_mb: Optional[int] = None,
        limits: Optional[Mapping[str, float]] = None,
        egress: Union[str, Sequence[str], Mapping[str, Any], None] = None,
        isolation: Optional[str] = None,
        isolation_floor: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> AsyncSandbox:
        """Makes a sandbox, which answers when this returns.

        It is destroyed ``ttl_seconds`` (default 3600) after its creation whatever it
        does, and with ``idle_timeout_seconds`` when nothing used it for so long. Values
        of ``metadata`` become text. ``limits`` has memory_bytes, cpus, pids, disk_bytes,
        open_files; ``cpu`` and ``memory_mb`` are other names of two of them. ``egress`` is a list of names and networks that its programs may
        reach, "open", or the full policy; default: no network. It is made once, also when
        the request has to be sent again.
        """
        body = _wire.without_none(
            {
                "template": template,
                "from_snapshot": from_snapshot.id if isinstance(from_snapshot, models.SnapshotInfo) else from_snapshot,
                "ttl_seconds": ttl_seconds,
                "idle_timeout_seconds": idle_timeout_seconds,
                "persistent": persistent,
                "metadata": _wire.metadata(metadata),
                "env": env,
                "name": name,
                "limits": _limits(cpu, memory_mb, limits),
                "egress": _egress(egress),
                "isolation": isolation,
                "isolation_floor": isolation_floor,
            }
        )
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        info = await self._client.transport.call(
            "POST", _wire.path("sandboxes"), body=body, headers=headers, repeatable=True, seconds=_wire.CREATE_SECONDS
        )
        return AsyncSandbox(self._client, models.SandboxInfo.from_json(info))

    async def get(self, sandbox_id: str) -> AsyncSandbox:
        """Finds one by its id, or by a name that only one has."""
        info = await self._client.transport.call("GET", _wire.path("sandboxes", sandbox_id))
        return AsyncSandbox(self._client, models.SandboxInfo.from_json(info))

    async def list(
        self,
        *,
        status: Optional[str] = None,
        template: Optional[str] = None,
        metadata: Optional[Mapping[str, object]] = None,
        all: bool = False,
    ) -> List[AsyncSandbox]:
        """Gives them, the newest first; with ``all`` those that have ended, too."""
        params = _wire.without_none({"status": status, "template": template, "all": "1" if all else None})
        params.update({"metadata." + k: v for k, v in (_wire.metadata(metadata) or {}).items()})
        found = await self._client.transport.call("GET", _wire.path("sandboxes"), params=params)
        return [AsyncSandbox(self._client, models.SandboxInfo.from_json(s)) for s in found]

    async def delete(self, sandbox_id: str) -> None:
        """Destroys one. NotFoundError when there is none."""
        await self._client.transport.remove(_wire.path("sandboxes", sandbox_id))


def _limits(cpu: Optional[float], memory_mb: Optional[int], limits: Optional[Mapping[str, float]]) -> Optional[Dict[str, float]]:
    memory = None if memory_mb is None else memory_mb << 20
    return {**_wire.without_none({"cpus": cpu, "memory_bytes": memory}), **(limits or {})} or None


def _egress(policy: Union[str, Sequence[str], Mapping[str, Any], None]) -> Optional[Dict[str, Any]]:
    if policy is None:
        return None
    if isinstance(policy, str):
        return {"mode": policy}
    if isinstance(policy, Mapping):
        return dict(policy)
    return {"mode": "allow", "allow": list(policy)}


class AsyncSnapshots:
    """The caller's snapshots."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, sandbox_id: Optional[str] = None) -> List[models.SnapshotInfo]:
        """Gives them, the newest first; of one sandbox, or of all."""
        params = _wire.without_none({"sandbox_id": sandbox_id})
        found = await self._client.transport.call("GET", _wire.path("snapshots"), params=params)
        return [models.SnapshotInfo.from_json(s) for s in found]

    async def get(self, snapshot_id: str) -> models.SnapshotInfo:
        """Gives one by its id, or by a name that only one has."""
        return models.SnapshotInfo.from_json(await self._client.transport.call("GET", _wire.path("snapshots", snapshot_id)))

    async def delete(self, snapshot_id: str) -> None:
        """Removes one."""
        await self._client.transport.remove(_wire.path("snapshots", snapshot_id))

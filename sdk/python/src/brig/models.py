"""What the server says of its things, as values. ``raw`` has the fields that a newer
server adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Optional

from ._fields import Json, mapping_of, number_of, text_of, time_of


@dataclass(frozen=True)
class SandboxInfo:
    """A sandbox as the server described it. Times are in UTC."""

    id: str
    status: str
    template: str
    name: str = ""
    isolation: str = ""
    cpu: float = 0.0
    memory_mb: int = 0
    metadata: Dict[str, str] = field(default_factory=dict)
    egress: Dict[str, Any] = field(default_factory=dict)
    from_snapshot: str = ""
    parent_id: str = ""
    fork_tree_id: str = ""
    created_at: Optional[datetime] = None
    expires_at: Optional[datetime] = None
    ttl_seconds: float = 0.0
    idle_timeout_seconds: float = 0.0
    persistent: bool = False
    boot_ms: int = 0
    boot_mode: str = ""
    ended_reason: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> SandboxInfo:
        """Reads the server's description."""
        return cls(
            id=text_of(data, "id"),
            status=text_of(data, "status"),
            template=text_of(data, "template"),
            name=text_of(data, "name"),
            isolation=text_of(data, "isolation"),
            cpu=number_of(data, "cpu"),
            memory_mb=int(number_of(data, "memory_mb")),
            metadata={str(k): str(v) for k, v in mapping_of(data, "metadata").items()},
            egress=mapping_of(data, "egress"),
            from_snapshot=text_of(data, "from_snapshot"),
            parent_id=text_of(data, "parent_id"),
            fork_tree_id=text_of(data, "fork_tree_id"),
            created_at=time_of(data, "created_at"),
            expires_at=time_of(data, "expires_at"),
            ttl_seconds=number_of(data, "ttl_seconds"),
            idle_timeout_seconds=number_of(data, "idle_timeout_seconds"),
            persistent=bool(data.get("persistent")),
            boot_ms=int(number_of(data, "boot_ms")),
            boot_mode=text_of(data, "boot_mode"),
            ended_reason=text_of(mapping_of(data, "ended"), "reason"),
            raw=dict(data),
        )


@dataclass(frozen=True)
class Lifecycle:
    """How long a sandbox may live."""

    ttl_seconds: float
    expires_at: Optional[datetime]
    idle_timeout_seconds: float
    idle_seconds: float
    persistent: bool

    @classmethod
    def from_json(cls, data: Json) -> Lifecycle:
        """Reads the server's description."""
        return cls(
            ttl_seconds=number_of(data, "ttl_seconds"),
            expires_at=time_of(data, "expires_at"),
            idle_timeout_seconds=number_of(data, "idle_timeout_seconds"),
            idle_seconds=number_of(data, "idle_seconds"),
            persistent=bool(data.get("persistent")),
        )


@dataclass(frozen=True)
class FileInfo:
    """A name inside a sandbox. ``mode`` is octal, as "0644"; ``mtime`` in Unix seconds."""

    name: str
    path: str
    is_dir: bool
    kind: str = ""
    size: int = 0
    mode: str = ""
    mtime: float = 0.0
    target: str = ""

    @classmethod
    def from_json(cls, data: Json) -> FileInfo:
        """Reads the server's description."""
        return cls(
            name=text_of(data, "name"),
            path=text_of(data, "path"),
            is_dir=bool(data.get("is_dir")),
            kind=text_of(data, "kind"),
            size=int(number_of(data, "size")),
            mode=text_of(data, "mode"),
            mtime=number_of(data, "mtime"),
            target=text_of(data, "target"),
        )


@dataclass(frozen=True)
class FileChange:
    """Something that happened to a name: create, write, remove, rename or chmod."""

    op: str
    name: str

    @classmethod
    def from_json(cls, data: Json) -> FileChange:
        """Reads the server's description."""
        return cls(op=text_of(data, "op"), name=text_of(data, "name"))


@dataclass(frozen=True)
class SnapshotInfo:
    """A kept moment of a sandbox."""

    id: str
    name: str
    sandbox_id: str
    template: str
    size_bytes: int
    created_at: Optional[datetime]
    expires_at: Optional[datetime]

    @classmethod
    def from_json(cls, data: Json) -> SnapshotInfo:
        """Reads the server's description."""
        return cls(
            id=text_of(data, "id"),
            name=text_of(data, "name"),
            sandbox_id=text_of(data, "sandbox_id"),
            template=text_of(data, "template"),
            size_bytes=int(number_of(data, "size_bytes")),
            created_at=time_of(data, "created_at"),
            expires_at=time_of(data, "expires_at"),
        )


@dataclass(frozen=True)
class PromoteResult:
    """What a promotion destroyed."""

    winner: str
    deleted: List[str]
    failures: Dict[str, str]

    @classmethod
    def from_json(cls, data: Json) -> PromoteResult:
        """Reads the server's description."""
        return cls(
            winner=text_of(data, "winner"),
            deleted=[str(d) for d in data.get("deleted") or []],
            failures={str(k): str(v) for k, v in mapping_of(data, "failures").items()},
        )


@dataclass(frozen=True)
class Event:
    """Something that happened to a sandbox. Events outlive it."""

    time: Optional[datetime]
    sandbox_id: str
    type: str
    payload: Dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Json) -> Event:
        """Reads the server's description."""
        return cls(time_of(data, "time"), text_of(data, "sandbox_id"), text_of(data, "type"), mapping_of(data, "payload"))


@dataclass(frozen=True)
class Template:
    """A root filesystem to start from."""

    name: str
    digest: str = ""
    size_bytes: int = 0
    description: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> Template:
        """Reads the server's description."""
        return cls(
            text_of(data, "name"), text_of(data, "digest"), int(number_of(data, "size_bytes")), text_of(data, "description"), dict(data)
        )

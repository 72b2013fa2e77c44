"""Batches, builds, ports and keys, as the server describes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from ._fields import Json, mapping_of, number_of, text_of, time_of


@dataclass(frozen=True)
class Upload:
    """A file on the server: what was uploaded for a batch, or what one left."""

    id: str
    filename: str
    bytes: int
    purpose: str = ""

    @classmethod
    def from_json(cls, data: Json) -> Upload:
        """Reads the server's description."""
        return cls(text_of(data, "id"), text_of(data, "filename"), int(number_of(data, "bytes")), text_of(data, "purpose"))


@dataclass(frozen=True)
class Batch:
    """A batch and how far it is.

    ``status`` is validating, in_progress, cancelling, or at its end completed, failed,
    expired or cancelled. ``completed`` items are ok, ``failed`` ones have another
    verdict; ``verdicts`` counts them all.
    """

    id: str
    status: str
    input_file_id: str
    output_file_id: str = ""
    error_file_id: str = ""
    total: int = 0
    completed: int = 0
    failed: int = 0
    verdicts: Dict[str, int] = field(default_factory=dict)
    metadata: Dict[str, str] = field(default_factory=dict)
    errors: List[str] = field(default_factory=list)
    created_at: Optional[datetime] = None
    raw: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in ("completed", "failed", "expired", "cancelled")

    @classmethod
    def from_json(cls, data: Json) -> Batch:
        """Reads the server's description."""
        counts = mapping_of(data, "request_counts")
        return cls(
            id=text_of(data, "id"),
            status=text_of(data, "status"),
            input_file_id=text_of(data, "input_file_id"),
            output_file_id=text_of(data, "output_file_id"),
            error_file_id=text_of(data, "error_file_id"),
            total=int(number_of(counts, "total")),
            completed=int(number_of(counts, "completed")),
            failed=int(number_of(counts, "failed")),
            verdicts={k: int(v) for k, v in mapping_of(mapping_of(data, "progress"), "verdicts").items()},
            metadata={k: str(v) for k, v in mapping_of(data, "metadata").items()},
            errors=[text_of(e, "message") for e in mapping_of(data, "errors").get("data") or []],
            created_at=datetime.fromtimestamp(number_of(data, "created_at"), timezone.utc),
            raw=dict(data),
        )


@dataclass(frozen=True)
class BatchResult:
    """The end of one item: ``result`` is what its program left, when ``ok``."""

    custom_id: str
    verdict: str
    ok: bool
    result: Any = None
    exit_code: Optional[int] = None
    stdout: str = ""
    stderr: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> BatchResult:
        """Reads one line of results."""
        return cls(
            custom_id=text_of(data, "custom_id"),
            verdict=text_of(data, "verdict"),
            ok=bool(data.get("ok")),
            result=data.get("result"),
            exit_code=data.get("exit_code"),
            stdout=text_of(data, "stdout"),
            stderr=text_of(data, "stderr"),
            raw=dict(data),
        )


@dataclass(frozen=True)
class Build:
    """The making of a template: queued, running, baking, done or failed."""

    id: str
    name: str
    status: str
    error: str = ""
    fix: str = ""
    digest: str = ""
    raw: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls, data: Json) -> Build:
        """Reads the server's description."""
        return cls(
            id=text_of(data, "id"),
            name=text_of(data, "name"),
            status=text_of(data, "status"),
            error=text_of(data, "error"),
            fix=text_of(data, "fix"),
            digest=text_of(data, "digest"),
            raw=dict(data),
        )


@dataclass(frozen=True)
class Port:
    """A port of a sandbox. ``source`` is "user" for one that somebody named, else
    "detected". Who has the key reaches it at ``proxy_url``, and everybody does when it
    is ``public``."""

    port: int
    label: str = ""
    listening: bool = False
    public: bool = False
    source: str = ""
    proxy_url: str = ""

    @classmethod
    def from_json(cls, data: Json) -> Port:
        """Reads the server's description."""
        return cls(
            port=int(number_of(data, "port")),
            label=text_of(data, "label"),
            listening=bool(data.get("listening")),
            public=bool(data.get("public")),
            source=text_of(data, "source"),
            proxy_url=text_of(data, "proxy_url"),
        )


@dataclass(frozen=True)
class Preview:
    """A link to one port for who has no key."""

    url: str
    token: str = field(repr=False)
    port: int = 0
    paths: List[str] = field(default_factory=list)
    expires_at: Optional[datetime] = None

    @classmethod
    def from_json(cls, data: Json) -> Preview:
        """Reads the server's description."""
        return cls(
            url=text_of(data, "url"),
            token=text_of(data, "token"),
            port=int(number_of(data, "port")),
            paths=[str(p) for p in data.get("paths") or []],
            expires_at=time_of(data, "expires_at"),
        )


@dataclass(frozen=True)
class Key:
    """A key of the server. ``secret`` is known only when it was made."""

    prefix: str
    owner: str
    label: str = ""
    scopes: List[str] = field(default_factory=list)
    created_at: Optional[datetime] = None
    expires_at: Optional[datetime] = None
    secret: str = field(default="", repr=False)

    @classmethod
    def from_json(cls, data: Json) -> Key:
        """Reads the server's description."""
        return cls(
            prefix=text_of(data, "prefix"),
            owner=text_of(data, "owner"),
            label=text_of(data, "label"),
            scopes=[str(s) for s in data.get("scopes") or []],
            created_at=time_of(data, "created_at"),
            expires_at=time_of(data, "expires_at"),
            secret=text_of(data, "key"),
        )

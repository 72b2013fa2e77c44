"""Reads fields of the server's JSON: what is missing, or of another kind, is empty."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, Mapping, Optional

Json = Mapping[str, Any]


def text_of(data: Json, key: str) -> str:
    """Text."""
    value = data.get(key)
    return "" if value is None else str(value)


def number_of(data: Json, key: str) -> float:
    """A number."""
    value = data.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0


def mapping_of(data: Json, key: str) -> Dict[str, Any]:
    """An object."""
    value = data.get(key)
    return dict(value) if isinstance(value, Mapping) else {}


def time_of(data: Json, key: str) -> Optional[datetime]:
    """Reads RFC 3339, with any number of digits of a second, which 3.9's
    fromisoformat does not."""
    value = data.get(key)
    if not isinstance(value, str) or len(value) < 20:
        return None
    head, rest = value[:19], value[19:]
    fraction = 0
    if rest.startswith("."):
        digits = len(rest) - len(rest[1:].lstrip("0123456789")) - 1
        fraction, rest = int(rest[1 : 1 + digits].ljust(6, "0")[:6]), rest[1 + digits :]
    try:
        when = datetime.fromisoformat(head + (rest.replace("Z", "+00:00") or "+00:00"))
    except ValueError:
        return None
    return when.replace(microsecond=fraction).astimezone(timezone.utc)

"""What both clients share and no network needs: addresses, errors, retries, events."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Iterator, List, Mapping, Optional
from urllib.parse import quote

import httpx

from . import errors

#: A connection that says nothing for so long is dead: the server pings every 15 s.
STREAM_SILENCE = 60.0
#: How long an ordinary answer may take, and what is added to a program's own time.
ANSWER_SECONDS = 60.0
#: Making a sandbox may queue for room.
CREATE_SECONDS = 180.0
#: How long who gives a program up waits for its end.
KILL_SECONDS = 5.0
CONNECT_SECONDS = 10.0
CHUNK = 256 << 10
#: How often a stream that goes on where it was is taken up without anything new.
RECONNECTS = 5
_MAX_EVENT = 64 << 20


@dataclass(frozen=True)
class Address:
    """Where a server is: a URL, and the socket that it is reached by, if any."""

    url: str
    socket: Optional[str]


def address_of(api_url: Optional[str], env: Mapping[str, str]) -> Address:
    """Reads an address, or $BRIG_API, or takes the socket of this user's own server."""
    where = api_url or env.get("BRIG_API") or _own_socket(env)
    if where.startswith("unix://"):
        where = where[len("unix://") :]
    if where.startswith("/"):
        return Address("http://brig", where)
    if not where.startswith(("http://", "https://")):
        raise errors.BadRequestError(
            f"cannot use the server {where!r}: because it is neither a URL nor the path of a socket",
            code="invalid",
            fix="write it like http://127.0.0.1:7777 or /run/brig/api.sock",
        )
    url = where.rstrip("/")
    return Address(url[: -len("/v1")] if url.endswith("/v1") else url, None)


def _own_socket(env: Mapping[str, str]) -> str:
    state = env.get("BRIG_STATE", "")
    if not state:
        uid = os.getuid() if hasattr(os, "getuid") else 0
        if uid == 0:
            state = "/run/brig"
        elif env.get("XDG_RUNTIME_DIR"):
            state = os.path.join(env["XDG_RUNTIME_DIR"], "brig")
        else:
            state = f"/tmp/brig-{uid}"
    return os.path.join(os.path.abspath(state), "api.sock")


def path(*parts: str) -> str:
    """A path below /v1 whose parts may hold any character."""
    return "/v1/" + "/".join(quote(p, safe="") for p in parts)


def without_none(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Leaves out what the caller did not name."""
    return {k: v for k, v in fields.items() if v is not None}


def timeout(read: float) -> httpx.Timeout:
    """The limits of one request; waiting for a free connection has none."""
    return httpx.Timeout(connect=CONNECT_SECONDS, read=read, write=max(read, ANSWER_SECONDS), pool=None)


def answer_error(response: httpx.Response) -> errors.BrigError:
    """The error that an answer of 400 or more carries. Its body has been read."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return wire_error(body, response.status_code, retry_after(response.headers.get("Retry-After")))


def wire_error(body: Any, status: int, after: Optional[float] = None) -> errors.BrigError:
    """The error that a body of the wire describes."""
    body = body if isinstance(body, dict) else {}
    message = body.get("error")
    return errors.error_class(status)(
        message if isinstance(message, str) and message else f"the server answered with status {status}",
        code=str(body.get("code") or ""),
        fix=str(body.get("fix") or ""),
        status_code=status,
        request_id=str(body.get("request_id") or ""),
        retry_after=after,
    )


def unreachable(error: Exception) -> errors.APIConnectionError:
    """The error for a server that did not answer."""
    return errors.APIConnectionError(
        f"cannot reach the server: because {error or type(error).__name__}",
        code="unreachable",
        fix="see that 'brig serve' runs and that BRIG_API is right",
    )


def interrupted(why: object = "it ended too early") -> errors.StreamInterrupted:
    """The error for a stream without an end."""
    return errors.StreamInterrupted(
        f"cannot follow to the end: because the stream broke off: {why}",
        code="interrupted",
        fix="the program's fate is not known: look, or run it again if that is safe",
    )


def silent(error: BaseException) -> bool:
    """Whether the server was there and said nothing."""
    return isinstance(error.__cause__, httpx.ReadTimeout)


def retry_after(value: Optional[str]) -> Optional[float]:
    """Reads Retry-After, seconds or a date, as seconds from now."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


class Retry:
    """Decides whether one request is sent again, and when.

    A request that never left, or that the server refused for want of room (429), has
    done nothing: it is always safe to send again. One that may have been carried out
    is sent again only when doing it twice is the same as once (``repeatable``).
    """

    _LOST = 2  # how often a request is sent again after the connection failed

    def __init__(self, seconds: float, repeatable: bool) -> None:
        self._deadline = time.monotonic() + seconds
        self._repeatable = repeatable
        self._tries = 0
        self._lost = 0

    @property
    def lost(self) -> bool:
        """Whether an earlier try may have been carried out without an answer."""
        return self._lost > 0

    def after_error(self, error: httpx.HTTPError) -> Optional[float]:
        """How long to wait after a connection failed; None: give up."""
        unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        lost = isinstance(error, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError))
        if self._lost >= self._LOST or not (unsent or (lost and self._repeatable)):
            return None
        self._lost += 1
        return self._wait(None)

    def after_answer(self, response: httpx.Response) -> Optional[float]:
        """How long to wait after a refusal; None: it is the answer."""
        after = retry_after(response.headers.get("Retry-After"))
        if response.status_code == 429 and after is not None:
            return self._wait(after)
        if response.status_code in (502, 503) and self._repeatable and self._tries < 2:
            return self._wait(after)
        return None

    def _wait(self, at_least: Optional[float]) -> Optional[float]:
        # Jitter comes on top, so that callers refused together do not come back together.
        delay = (at_least or 0.0) + random.uniform(0, min(0.2 * 2**self._tries, 5.0))
        self._tries += 1
        return delay if time.monotonic() + delay <= self._deadline else None


@dataclass(frozen=True)
class ServerEvent:
    """One server-sent event."""

    name: str
    data: Any
    id: str = ""


class EventParser:
    """Reads server-sent events from pieces of any size. Only a line feed ends a line:
    what str.splitlines takes for one may be in the data."""

    def __init__(self) -> None:
        self._rest: List[bytes] = []  # of a line whose end has not come
        self._size = 0
        self._name = self._id = ""
        self._data: List[bytes] = []

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Gives the events that a piece completes."""
        self._rest.append(piece)
        self._size += len(piece)
        if self._size > _MAX_EVENT:
            raise interrupted("an event has no end")
        if b"\n" not in piece:
            return
        *lines, rest = b"".join(self._rest).split(b"\n")
        self._rest, self._size = [rest], len(rest)
        for line in lines:
            line = line.rstrip(b"\r")
            if line:
                self._field(line)
            elif self._data:
                yield ServerEvent(self._name, _loads(b"\n".join(self._data)), self._id)
                self._name, self._data = "", []

    def _field(self, line: bytes) -> None:
        key, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if key == b"event":
            self._name = value.decode("utf-8", "replace")
        elif key == b"id":
            self._id = value.decode("utf-8", "replace")
        elif key == b"data":
            self._data.append(value)


def _loads(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def metadata(words: Optional[Mapping[str, object]]) -> Optional[Dict[str, str]]:
    """Metadata as text: true and false as JSON has them, all else as str has it; what
    is None is left out."""
    if words is None:
        return None
    return {k: form_text(v) for k, v in words.items() if v is not None}


def base64_text(data: bytes) -> str:
    """Bytes for a JSON body."""
    return base64.b64encode(data).decode("ascii")


def range_header(offset: int, length: Optional[int]) -> Optional[Dict[str, str]]:
    """Asks for a part of a file; None for all of it."""
    if offset == 0 and length is None:
        return None
    last = "" if length is None else str(offset + length - 1)
    return {"Range": f"bytes={offset}-{last}"}


def form_text(value: object) -> str:
    """A field of a form."""
    return str(value).lower() if isinstance(value, bool) else str(value)

# Made by generate.py from _async/transport.py; change that.
"""Requests and answers of one server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Callable, Dict, Mapping, Optional, Sequence, Tuple

import httpx

from .. import _sio, _wire
from .._wire import ServerEvent
from ..errors import ServerError


class Transport:
    """Sends requests; an answer of 400 or more is an error."""

    def __init__(self, http: httpx.Client, retry_seconds: float) -> None:
        self._http = http
        self._retry_seconds = retry_seconds

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        body: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        repeatable: bool = False,
        seconds: float = _wire.ANSWER_SECONDS,
    ) -> Any:
        """Sends JSON and gives the answer's, None for an empty one."""
        kwargs: Dict[str, Any] = {"params": params, "json": body, "headers": headers}
        response = self._send(method, path, kwargs, repeatable, seconds)
        with _closing(response):
            return _json(response)

    def remove(self, path: str, *, params: Optional[Mapping[str, Any]] = None) -> None:
        """Deletes."""
        self.call("DELETE", path, params=params, repeatable=True)

    def put(self, path: str, content: Any, *, params: Mapping[str, Any]) -> Any:
        """Sends bytes, or an iterator of them, as they are."""
        kwargs = {"params": params, "content": content, "headers": {"Content-Type": "application/octet-stream"}}
        whole = isinstance(content, bytes)  # an iterator can be sent once only
        response = self._send("PUT", path, kwargs, whole, _wire.ANSWER_SECONDS)
        with _closing(response):
            return _json(response)

    def post_form(self, path: str, parts: Sequence[Tuple[str, Any]]) -> Any:
        """Sends a form, once, and gives the answer's JSON."""
        response = self._send("POST", path, {"files": list(parts)}, False, _wire.CREATE_SECONDS)
        with _closing(response):
            return _json(response)

    def post_bytes(self, path: str, content: Any, *, params: Mapping[str, Any]) -> Any:
        """Sends bytes, or an iterator of them, once, and gives the answer's JSON."""
        kwargs = {"params": params, "content": content, "headers": {"Content-Type": "application/octet-stream"}}
        response = self._send("POST", path, kwargs, False, _wire.ANSWER_SECONDS)
        with _closing(response):
            return _json(response)

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Sends what httpx can and gives the answer, whatever its status, with its body."""
        try:
            return self._http.request(method, path, **kwargs)
        except httpx.HTTPError as error:
            raise _wire.unreachable(error) from error

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        body: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        repeatable: bool = False,
    ) -> Iterator[httpx.Response]:
        """Gives an answer whose body is read by the caller."""
        kwargs: Dict[str, Any] = {"params": params, "json": body, "headers": headers}
        response = self._send(method, path, kwargs, repeatable, _wire.STREAM_SILENCE)
        with _closing(response):
            yield response

    @contextmanager
    def events(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        body: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        opened: Optional[Callable[[Mapping[str, str]], None]] = None,
    ) -> Iterator[Iterator[ServerEvent]]:
        """Gives server-sent events until the server ends the stream. An event named
        "error" becomes an error, and so does a connection that breaks. ``opened`` gets
        the answer's headers."""
        accept = {"Accept": "text/event-stream", **(headers or {})}
        with self.stream(method, path, params=params, body=body, headers=accept) as response:
            if opened:
                opened(response.headers)
            yield _events(response)

    def _send(
        self, method: str, path: str, kwargs: Dict[str, Any], repeatable: bool, seconds: float
    ) -> httpx.Response:
        """Sends until there is an answer that counts. Its body is not read yet."""
        retry = _wire.Retry(self._retry_seconds, repeatable or method == "GET")
        while True:
            request = self._http.build_request(method, path, timeout=_wire.timeout(seconds), **kwargs)
            try:
                response = self._http.send(request, stream=True)
                if response.status_code < 400:
                    return response
                with _closing(response):
                    response.read()
                if response.status_code == 404 and method == "DELETE" and retry.lost:
                    return response  # the try whose answer was lost has removed it
                delay = retry.after_answer(response)
                if delay is None:
                    raise _wire.answer_error(response)
            except httpx.HTTPError as error:
                delay = retry.after_error(error)
                if delay is None:
                    raise _wire.unreachable(error) from error
            _sio.sleep(delay)


def pieces_of(response: httpx.Response) -> Iterator[bytes]:
    """The body as it comes; a connection that breaks is an error of ours."""
    try:
        for piece in response.iter_bytes():
            yield piece
    except httpx.HTTPError as error:
        raise _wire.interrupted(error) from error


def content_of(response: httpx.Response) -> bytes:
    """The whole body."""
    try:
        return response.read()
    except httpx.HTTPError as error:
        raise _wire.interrupted(error) from error


def _events(response: httpx.Response) -> Iterator[ServerEvent]:
    parser = _wire.EventParser()
    for piece in pieces_of(response):
        for event in parser.feed(piece):
            if event.name == "error":
                raise _wire.wire_error(event.data, 500)
            yield event


@contextmanager
def _closing(response: httpx.Response) -> Iterator[None]:
    try:
        yield
    finally:
        response.close()


def _json(response: httpx.Response) -> Any:
    content = content_of(response)
    if not content or response.status_code >= 400:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise ServerError(f"cannot read the server's answer: because {error}") from error

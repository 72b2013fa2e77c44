"""Requests and answers of one server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any, AsyncIterator, Callable, Dict, Mapping, Optional, Sequence, Tuple

import httpx

from .. import _aio, _wire
from .._wire import ServerEvent
from ..errors import ServerError


class AsyncTransport:
    """Sends requests; an answer of 400 or more is an error."""

    def __init__(self, http: httpx.AsyncClient, retry_seconds: float) -> None:
        self._http = http
        self._retry_seconds = retry_seconds

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def call(
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
        response = await self._send(method, path, kwargs, repeatable, seconds)
        async with _closing(response):
            return await _json(response)

    async def remove(self, path: str, *, params: Optional[Mapping[str, Any]] = None) -> None:
        """Deletes."""
        await self.call("DELETE", path, params=params, repeatable=True)

    async def put(self, path: str, content: Any, *, params: Mapping[str, Any]) -> Any:
        """Sends bytes, or an iterator of them, as they are."""
        kwargs = {"params": params, "content": content, "headers": {"Content-Type": "application/octet-stream"}}
        whole = isinstance(content, bytes)  # an iterator can be sent once only
        response = await self._send("PUT", path, kwargs, whole, _wire.ANSWER_SECONDS)
        async with _closing(response):
            return await _json(response)

    async def post_form(self, path: str, parts: Sequence[Tuple[str, Any]]) -> Any:
        """Sends a form, once, and gives the answer's JSON."""
        response = await self._send("POST", path, {"files": list(parts)}, False, _wire.CREATE_SECONDS)
        async with _closing(response):
            return await _json(response)

    async def post_bytes(self, path: str, content: Any, *, params: Mapping[str, Any]) -> Any:
        """Sends bytes, or an iterator of them, once, and gives the answer's JSON."""
        kwargs = {"params": params, "content": content, "headers": {"Content-Type": "application/octet-stream"}}
        response = await self._send("POST", path, kwargs, False, _wire.ANSWER_SECONDS)
        async with _closing(response):
            return await _json(response)

    async def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Sends what httpx can and gives the answer, whatever its status, with its body."""
        try:
            return await self._http.request(method, path, **kwargs)
        except httpx.HTTPError as error:
            raise _wire.unreachable(error) from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        body: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        repeatable: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        """Gives an answer whose body is read by the caller."""
        kwargs: Dict[str, Any] = {"params": params, "json": body, "headers": headers}
        response = await self._send(method, path, kwargs, repeatable, _wire.STREAM_SILENCE)
        async with _closing(response):
            yield response

    @asynccontextmanager
    async def events(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        body: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        opened: Optional[Callable[[Mapping[str, str]], None]] = None,
    ) -> AsyncIterator[AsyncIterator[ServerEvent]]:
        """Gives server-sent events until the server ends the stream. An event named
        "error" becomes an error, and so does a connection that breaks. ``opened`` gets
        the answer's headers."""
        accept = {"Accept": "text/event-stream", **(headers or {})}
        async with self.stream(method, path, params=params, body=body, headers=accept) as response:
            if opened:
                opened(response.headers)
            yield _events(response)

    async def _send(
        self, method: str, path: str, kwargs: Dict[str, Any], repeatable: bool, seconds: float
    ) -> httpx.Response:
        """Sends until there is an answer that counts. Its body is not read yet."""
        retry = _wire.Retry(self._retry_seconds, repeatable or method == "GET")
        while True:
            request = self._http.build_request(method, path, timeout=_wire.timeout(seconds), **kwargs)
            try:
                response = await self._http.send(request, stream=True)
                if response.status_code < 400:
                    return response
                async with _closing(response):
                    await response.aread()
                if response.status_code == 404 and method == "DELETE" and retry.lost:
                    return response  # the try whose answer was lost has removed it
                delay = retry.after_answer(response)
                if delay is None:
                    raise _wire.answer_error(response)
            except httpx.HTTPError as error:
                delay = retry.after_error(error)
                if delay is None:
                    raise _wire.unreachable(error) from error
            await _aio.sleep(delay)


async def pieces_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes; a connection that breaks is an error of ours."""
    try:
        async for piece in response.aiter_bytes():
            yield piece
    except httpx.HTTPError as error:
        raise _wire.interrupted(error) from error


async def content_of(response: httpx.Response) -> bytes:
    """The whole body."""
    try:
        return await response.aread()
    except httpx.HTTPError as error:
        raise _wire.interrupted(error) from error


async def _events(response: httpx.Response) -> AsyncIterator[ServerEvent]:
    parser = _wire.EventParser()
    async for piece in pieces_of(response):
        for event in parser.feed(piece):
            if event.name == "error":
                raise _wire.wire_error(event.data, 500)
            yield event


@asynccontextmanager
async def _closing(response: httpx.Response) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await response.aclose()


async def _json(response: httpx.Response) -> Any:
    content = await content_of(response)
    if not content or response.status_code >= 400:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise ServerError(f"cannot read the server's answer: because {error}") from error

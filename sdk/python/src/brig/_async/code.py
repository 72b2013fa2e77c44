"""Interpreter sessions of one sandbox."""

from __future__ import annotations

from types import TracebackType
from typing import Callable, List, Optional, Type, Union

from .. import _wire
from ..errors import NotFoundError
from ..results import CodeContextInfo, CodeEvent, Execution
from .transport import AsyncTransport


class AsyncCode:
    """Interpreter sessions, Python and JavaScript: state that cells share."""

    def __init__(self, transport: AsyncTransport, sandbox_id: str) -> None:
        self._transport = transport
        self._id = sandbox_id

    def _path(self, *parts: str) -> str:
        return _wire.path("sandboxes", self._id, "code", *parts)

    async def run(
        self,
        code: str,
        language: str = "python",
        *,
        context: Union[str, AsyncCodeContext, None] = None,
        timeout_seconds: Optional[float] = None,
        on_event: Optional[Callable[[CodeEvent], object]] = None,
    ) -> Execution:
        """Runs one cell, in the language's default session or in the one named.

        At its timeout (default 30 s) it is interrupted, and the session goes on.
        ``on_event`` is told what the cell says while it runs.
        """
        if isinstance(context, AsyncCodeContext):
            context = context.id
        fields = {"code": code, "language": None if context else language, "context": context, "timeout_seconds": timeout_seconds}
        body = _wire.without_none(fields)
        if on_event is None:
            seconds = (timeout_seconds or 30.0) + _wire.ANSWER_SECONDS
            return Execution.from_json(await self._transport.call("POST", self._path(), body=body, seconds=seconds))
        async with self._transport.events("POST", self._path(), body=body) as events:
            async for event in events:
                if event.name == "end":
                    return Execution.from_json(event.data)
                on_event(CodeEvent.from_json(event.data))
        raise _wire.interrupted()

    async def contexts(self) -> List[AsyncCodeContext]:
        """The sessions that are open."""
        found = await self._transport.call("GET", self._path("contexts"))
        return [AsyncCodeContext(self, CodeContextInfo.from_json(c)) for c in found]

    async def create_context(self, language: str = "python", *, cwd: Optional[str] = None) -> AsyncCodeContext:
        """Opens a session beside the languages' default ones; at most 8."""
        body = _wire.without_none({"language": language, "cwd": cwd})
        made = await self._transport.call("POST", self._path("contexts"), body=body)
        return AsyncCodeContext(self, CodeContextInfo.from_json(made))

    async def restart_context(self, context_id: str) -> None:
        """Gives a session a new, empty interpreter."""
        await self._transport.call("POST", self._path("contexts", context_id, "restart"))

    async def close_context(self, context_id: str) -> None:
        """Ends a session."""
        await self._transport.remove(self._path("contexts", context_id))


class AsyncCodeContext:
    """One interpreter session. Used with ``with``, it is closed at the end."""

    def __init__(self, code: AsyncCode, info: CodeContextInfo) -> None:
        self._code = code
        self.info = info

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    @property
    def language(self) -> str:
        """python or javascript."""
        return self.info.language

    async def run_code(
        self, code: str, timeout_seconds: Optional[float] = None, *, on_event: Optional[Callable[[CodeEvent], object]] = None
    ) -> Execution:
        """Runs one cell in it; see ``AsyncCode.run``."""
        return await self._code.run(code, context=self.id, timeout_seconds=timeout_seconds, on_event=on_event)

    async def restart(self) -> None:
        """Gives it a new, empty interpreter."""
        await self._code.restart_context(self.id)

    async def close(self) -> None:
        """Ends it. It is no error when it is gone already."""
        try:
            await self._code.close_context(self.id)
        except NotFoundError:
            pass

    async def __aenter__(self) -> AsyncCodeContext:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

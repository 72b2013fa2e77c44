"""Background programs of one sandbox."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import AsyncIterable, AsyncIterator, Callable, Optional, Union

from .. import _aio, _wire
from ..errors import APIConnectionError
from ..results import ExecResult, Output, ProcessInfo
from .transport import AsyncTransport


class AsyncProcess:
    """A program that runs on between calls. The newest part of its output is kept for
    who comes late. ``info`` is what the server said of it last."""

    def __init__(self, transport: AsyncTransport, sandbox_id: str, info: ProcessInfo) -> None:
        self._transport = transport
        self._sandbox_id = sandbox_id
        self.info = info

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    def _path(self, *parts: str) -> str:
        return _wire.path("sandboxes", self._sandbox_id, "processes", self.id, *parts)

    async def refresh(self) -> ProcessInfo:
        """Asks the server how it is."""
        self.info = ProcessInfo.from_json(await self._transport.call("GET", self._path()))
        return self.info

    async def output(self, offset: int = 0) -> AsyncIterator[Output]:
        """What it has printed from ``offset`` on, and prints, until it ends.

        A connection that breaks is made again, and the output goes on where it was:
        nothing is lost that the server still keeps.
        """
        lost_connections = 0
        while True:
            try:
                async with self._transport.events("GET", self._path("output"), params={"offset": offset}) as events:
                    async for event in events:
                        if event.name == "exit":
                            self.info = replace(self.info, running=False, result=ExecResult.from_json(event.data))
                            return
                        if event.name not in ("stdout", "stderr"):
                            continue
                        data = base64.b64decode(event.data["base64"] or "")
                        start = int(event.data["offset"])
                        yield Output(event.name, data, start, max(0, start - offset))
                        offset, lost_connections = start + len(data), 0
                raise _wire.interrupted()
            except APIConnectionError:
                lost_connections += 1
                if lost_connections > _wire.RECONNECTS:
                    raise
                await _aio.sleep(0.1 * 2**lost_connections)

    async def wait(
        self,
        on_stdout: Optional[Callable[[bytes], object]] = None,
        on_stderr: Optional[Callable[[bytes], object]] = None,
    ) -> ExecResult:
        """Waits for its end, and hands over what it prints, exactly, from its start. The
        result has no output."""
        if on_stdout or on_stderr:
            async for piece in self.output():
                give = on_stdout if piece.stream == "stdout" else on_stderr
                if give:
                    give(piece.data)
        while self.info.result is None:
            # Each look is short, so that a dead connection is noticed.
            self.info = await self._look()
        return self.info.result

    async def _look(self) -> ProcessInfo:
        try:
            answer = await self._transport.call("GET", self._path(), params={"wait": "1"}, seconds=30)
        except APIConnectionError as error:
            if not _wire.silent(error):
                raise
            return self.info
        return ProcessInfo.from_json(answer)

    async def write(self, data: Union[bytes, str, AsyncIterable[bytes]], *, eof: bool = False) -> None:
        """Passes bytes on to its input, if it was started with ``open_stdin``; ``eof``
        closes that afterwards."""
        content = data.encode() if isinstance(data, str) else data
        await self._transport.post_bytes(self._path("stdin"), content, params={"eof": "1"} if eof else {})

    async def close_stdin(self) -> None:
        """Tells it that there is no more input."""
        await self.write(b"", eof=True)

    async def signal(self, signal: str = "TERM", *, tree: bool = False) -> None:
        """Sends a signal to its process group, or with ``tree`` to all that it started."""
        await self._transport.call("POST", self._path("signal"), body={"signal": signal, "tree": tree})

    async def kill(self) -> None:
        """Ends it with all that it started."""
        await self.signal("KILL", tree=True)

    async def resize(self, rows: int, cols: int) -> None:
        """Sets the size of its terminal."""
        await self._transport.call("POST", self._path("resize"), body={"rows": rows, "cols": cols}, repeatable=True)

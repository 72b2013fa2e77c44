"""The files of one sandbox."""

from __future__ import annotations

import os
from typing import IO, Any, AsyncIterable, AsyncIterator, Callable, List, Optional, Tuple, Union

from .. import _aio, _wire
from ..errors import NotFoundError
from ..models import FileChange, FileInfo
from .transport import AsyncTransport, content_of, pieces_of

Local = Union[str, "os.PathLike[str]"]


class AsyncFilesystem:
    """The files of one sandbox. Paths are absolute; contents are exact bytes of any
    size."""

    def __init__(self, transport: AsyncTransport, sandbox_id: str) -> None:
        self._transport = transport
        self._id = sandbox_id

    def _path(self, *parts: str) -> str:
        return _wire.path("sandboxes", self._id, "fs", *parts)

    async def read(self, path: str, *, offset: int = 0, length: Optional[int] = None) -> bytes:
        """A regular file's content, or ``length`` bytes of it from ``offset``."""
        if length == 0:
            return b""
        async with self._transport.stream(
            "GET", self._path(), params={"path": path}, headers=_wire.range_header(offset, length)
        ) as response:
            return await content_of(response)

    async def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """A regular file's content as text."""
        return (await self.read(path)).decode(encoding)

    async def iter_bytes(self, path: str, *, offset: int = 0, length: Optional[int] = None) -> AsyncIterator[bytes]:
        """A regular file's content in pieces, for what shall not be in memory at once."""
        async with self._transport.stream(
            "GET", self._path(), params={"path": path}, headers=_wire.range_header(offset, length)
        ) as response:
            async for piece in pieces_of(response):
                yield piece

    async def write(self, path: str, content: Union[bytes, str, AsyncIterable[bytes]], *, mode: Optional[int] = None) -> None:
        """Makes a file, parents included; an old one is replaced. Text is UTF-8."""
        params = _wire.without_none({"path": path, "mode": None if mode is None else f"{mode:04o}"})
        body: Any = content.encode() if isinstance(content, str) else content
        if isinstance(body, (bytearray, memoryview)):
            body = bytes(body)
        await self._transport.put(self._path(), body, params=params)

    async def upload(self, local_path: Local, remote_path: str, *, mode: Optional[int] = None) -> None:
        """Copies a local file into the sandbox."""
        with await _aio.run(open, local_path, "rb") as file:
            await self.write(remote_path, _pieces(file), mode=mode)

    async def download(self, remote_path: str, local_path: Local) -> None:
        """Copies a file out of the sandbox. What was there before stays when that fails."""
        part = f"{os.fspath(local_path)}.part"
        try:
            with await _aio.run(open, part, "wb") as file:
                async for piece in self.iter_bytes(remote_path):
                    await _aio.run(file.write, piece)
            os.replace(part, local_path)
        except BaseException:
            if os.path.exists(part):
                os.remove(part)
            raise

    async def list(self, path: str = "/") -> List[FileInfo]:
        """The names in a directory."""
        found = await self._transport.call("GET", self._path("dir"), params={"path": path})
        return [FileInfo.from_json(f) for f in found["entries"] or []]

    async def listdir(self, path: str = "/") -> List[FileInfo]:
        """Another name of ``list``."""
        return await self.list(path)

    async def walk(self, path: str = "/") -> AsyncIterator[Tuple[str, List[FileInfo], List[FileInfo]]]:
        """A tree as os.walk has it: (directory, directories in it, other names in it)."""
        waiting = [path]
        while waiting:
            here = waiting.pop()
            entries = await self.list(here)
            dirs = [e for e in entries if e.is_dir]
            yield here, dirs, [e for e in entries if not e.is_dir]
            waiting.extend(d.path for d in reversed(dirs))

    async def stat(self, path: str) -> FileInfo:
        """Describes one name; a final symbolic link is not followed."""
        return FileInfo.from_json(await self._transport.call("GET", self._path("stat"), params={"path": path}))

    async def exists(self, path: str) -> bool:
        """Whether there is such a name."""
        try:
            await self.stat(path)
        except NotFoundError:
            return False
        return True

    async def mkdir(self, path: str) -> None:
        """Makes a directory and its parents."""
        await self._transport.call("POST", self._path("dir"), params={"path": path}, repeatable=True)

    async def remove(self, path: str) -> None:
        """Deletes a file, or a directory with all that is in it."""
        await self._transport.remove(self._path(), params={"path": path})

    async def move(self, path: str, to: str) -> None:
        """Renames."""
        await self._transport.call("POST", self._path("move"), params={"path": path, "to": to})

    async def read_tar(self, path: str) -> AsyncIterator[bytes]:
        """A directory as a tar stream, with names relative to it. What is in it is the
        sandbox's: unpack it with care, as with tarfile's filter="data"."""
        async with self._transport.stream("GET", self._path("tar"), params={"path": path}) as response:
            async for piece in pieces_of(response):
                yield piece

    async def write_tar(self, path: str, content: Union[bytes, AsyncIterable[bytes]]) -> None:
        """Unpacks a tar stream into a directory, which is made."""
        await self._transport.put(self._path("tar"), content, params={"path": path})

    async def watch(
        self, path: str, *, recursive: bool = False, on_ready: Optional[Callable[[], object]] = None
    ) -> AsyncIterator[FileChange]:
        """What changes in a directory, until the caller has enough. ``on_ready`` is called
        when the watch is on: later changes are not missed."""
        params = {"path": path, "recursive": "1" if recursive else "0"}
        async with self._transport.events("GET", self._path("watch"), params=params) as events:
            async for event in events:
                if event.name == "change":
                    yield FileChange.from_json(event.data)
                elif event.name == "ready" and on_ready:
                    on_ready()


async def _pieces(file: IO[Any]) -> AsyncIterator[bytes]:
    while True:
        piece = await _aio.run(file.read, _wire.CHUNK)
        if not piece:
            return
        yield piece

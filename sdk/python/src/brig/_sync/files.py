# Made by generate.py from _async/files.py; change that.
"""The files of one sandbox."""

from __future__ import annotations

import os
from typing import IO, Any, Iterable, Iterator, Callable, List, Optional, Tuple, Union

from .. import _sio, _wire
from ..errors import NotFoundError
from ..models import FileChange, FileInfo
from .transport import Transport, content_of, pieces_of

Local = Union[str, "os.PathLike[str]"]


class Filesystem:
    """The files of one sandbox. Paths are absolute; contents are exact bytes of any
    size."""

    def __init__(self, transport: Transport, sandbox_id: str) -> None:
        self._transport = transport
        self._id = sandbox_id

    def _path(self, *parts: str) -> str:
        return _wire.path("sandboxes", self._id, "fs", *parts)

    def read(self, path: str, *, offset: int = 0, length: Optional[int] = None) -> bytes:
        """A regular file's content, or ``length`` bytes of it from ``offset``."""
        if length == 0:
            return b""
        with self._transport.stream(
            "GET", self._path(), params={"path": path}, headers=_wire.range_header(offset, length)
        ) as response:
            return content_of(response)

    def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """A regular file's content as text."""
        return (self.read(path)).decode(encoding)

    def iter_bytes(self, path: str, *, offset: int = 0, length: Optional[int] = None) -> Iterator[bytes]:
        """A regular file's content in pieces, for what shall not be in memory at once."""
        with self._transport.stream(
            "GET", self._path(), params={"path": path}, headers=_wire.range_header(offset, length)
        ) as response:
            for piece in pieces_of(response):
                yield piece

    def write(self, path: str, content: Union[bytes, str, Iterable[bytes]], *, mode: Optional[int] = None) -> None:
        """Makes a file, parents included; an old one is replaced. Text is UTF-8."""
        params = _wire.without_none({"path": path, "mode": None if mode is None else f"{mode:04o}"})
        body: Any = content.encode() if isinstance(content, str) else content
        if isinstance(body, (bytearray, memoryview)):
            body = bytes(body)
        self._transport.put(self._path(), body, params=params)

    def upload(self, local_path: Local, remote_path: str, *, mode: Optional[int] = None) -> None:
        """Copies a local file into the sandbox."""
        with _sio.run(open, local_path, "rb") as file:
            self.write(remote_path, _pieces(file), mode=mode)

    def download(self, remote_path: str, local_path: Local) -> None:
        """Copies a file out of the sandbox. What was there before stays when that fails."""
        part = f"{os.fspath(local_path)}.part"
        try:
            with _sio.run(open, part, "wb") as file:
                for piece in self.iter_bytes(remote_path):
                    _sio.run(file.write, piece)
            os.replace(part, local_path)
        except BaseException:
            if os.path.exists(part):
                os.remove(part)
            raise

    def list(self, path: str = "/") -> List[FileInfo]:
        """The names in a directory."""
        found = self._transport.call("GET", self._path("dir"), params={"path": path})
        return [FileInfo.from_json(f) for f in found["entries"] or []]

    def listdir(self, path: str = "/") -> List[FileInfo]:
        """Another name of ``list``."""
        return self.list(path)

    def walk(self, path: str = "/") -> Iterator[Tuple[str, List[FileInfo], List[FileInfo]]]:
        """A tree as os.walk has it: (directory, directories in it, other names in it)."""
        waiting = [path]
        while waiting:
            here = waiting.pop()
            entries = self.list(here)
            dirs = [e for e in entries if e.is_dir]
            yield here, dirs, [e for e in entries if not e.is_dir]
            waiting.extend(d.path for d in reversed(dirs))

    def stat(self, path: str) -> FileInfo:
        """Describes one name; a final symbolic link is not followed."""
        return FileInfo.from_json(self._transport.call("GET", self._path("stat"), params={"path": path}))

    def exists(self, path: str) -> bool:
        """Whether there is such a name."""
        try:
            self.stat(path)
        except NotFoundError:
            return False
        return True

    def mkdir(self, path: str) -> None:
        """Makes a directory and its parents."""
        self._transport.call("POST", self._path("dir"), params={"path": path}, repeatable=True)

    def remove(self, path: str) -> None:
        """Deletes a file, or a directory with all that is in it."""
        self._transport.remove(self._path(), params={"path": path})

    def move(self, path: str, to: str) -> None:
        """Renames."""
        self._transport.call("POST", self._path("move"), params={"path": path, "to": to})

    def read_tar(self, path: str) -> Iterator[bytes]:
        """A directory as a tar stream, with names relative to it. What is in it is the
        sandbox's: unpack it with care, as with tarfile's filter="data"."""
        with self._transport.stream("GET", self._path("tar"), params={"path": path}) as response:
            for piece in pieces_of(response):
                yield piece

    def write_tar(self, path: str, content: Union[bytes, Iterable[bytes]]) -> None:
        """Unpacks a tar stream into a directory, which is made."""
        self._transport.put(self._path("tar"), content, params={"path": path})

    def watch(
        self, path: str, *, recursive: bool = False, on_ready: Optional[Callable[[], object]] = None
    ) -> Iterator[FileChange]:
        """What changes in a directory, until the caller has enough. ``on_ready`` is called
        when the watch is on: later changes are not missed."""
        params = {"path": path, "recursive": "1" if recursive else "0"}
        with self._transport.events("GET", self._path("watch"), params=params) as events:
            for event in events:
                if event.name == "change":
                    yield FileChange.from_json(event.data)
                elif event.name == "ready" and on_ready:
                    on_ready()


def _pieces(file: IO[Any]) -> Iterator[bytes]:
    while True:
        piece = _sio.run(file.read, _wire.CHUNK)
        if not piece:
            return
        yield piece

"""The ends of programs and of code cells, and what they say before it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional

from ._fields import Json, mapping_of, number_of, text_of, time_of


@dataclass(frozen=True)
class ExecResult:
    """The end of a program.

    ``exit_code`` is as a shell has it: 128+n for signal n, 124 for a timeout, 137 for
    too much memory. ``verdict`` says it in a word (ok, nonzero, signal, timeout, oom,
    …). ``stdout`` and ``stderr`` have U+FFFD for what is not UTF-8;
    ``stdout_bytes`` and ``stderr_bytes`` are exact.
    """

    stdout: str
    stderr: str
    exit_code: int
    verdict: str = ""
    timed_out: bool = False
    truncated: bool = False
    signal: str = ""
    duration_ms: int = 0
    stdout_bytes: bytes = field(default=b"", repr=False)
    stderr_bytes: bytes = field(default=b"", repr=False)
    raw: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.exit_code == 0

    @classmethod
    def from_json(cls, data: Json) -> ExecResult:
        """Reads the server's description."""
        return cls(
            stdout=text_of(data, "stdout"),
            stderr=text_of(data, "stderr"),
            exit_code=int(number_of(data, "exit_code")),
            verdict=text_of(data, "verdict"),
            timed_out=bool(data.get("timed_out")),
            truncated=bool(data.get("truncated")),
            signal=text_of(data, "signal"),
            duration_ms=int(number_of(data, "duration_ms")),
            stdout_bytes=_exact(data, "stdout"),
            stderr_bytes=_exact(data, "stderr"),
            raw=dict(data),
        )


def _exact(data: Json, key: str) -> bytes:
    encoded = data.get(key + "_base64")
    if encoded:
        return base64.b64decode(str(encoded))
    return text_of(data, key).encode()


@dataclass(frozen=True)
class ProcessInfo:
    """A background program. ``result`` is its end, without output, once it has ended."""

    id: str
    pid: int
    argv: List[str]
    running: bool
    tag: str = ""
    cwd: str = ""
    started_at: Optional[datetime] = None
    output_bytes: int = 0
    output_start: int = 0
    result: Optional[ExecResult] = None

    @classmethod
    def from_json(cls, data: Json) -> ProcessInfo:
        """Reads the server's description."""
        result = data.get("result")
        return cls(
            id=text_of(data, "id"),
            pid=int(number_of(data, "pid")),
            argv=[str(a) for a in data.get("argv") or []],
            running=bool(data.get("running")),
            tag=text_of(data, "tag"),
            cwd=text_of(data, "cwd"),
            started_at=time_of(data, "started_at"),
            output_bytes=int(number_of(data, "output_bytes")),
            output_start=int(number_of(data, "output_start")),
            result=ExecResult.from_json(result) if isinstance(result, Mapping) else None,
        )


@dataclass(frozen=True)
class Output:
    """A piece of what a program printed.

    ``offset`` is its place in the output of both streams together; ``lost`` is how many
    bytes before it were no longer kept.
    """

    stream: str
    data: bytes
    offset: int
    lost: int = 0


@dataclass(frozen=True)
class CodeContextInfo:
    """An interpreter session: state that cells share."""

    id: str
    language: str
    cwd: str = ""
    default: bool = False

    @classmethod
    def from_json(cls, data: Json) -> CodeContextInfo:
        """Reads the server's description."""
        return cls(text_of(data, "id"), text_of(data, "language"), text_of(data, "cwd"), bool(data.get("default")))


@dataclass(frozen=True)
class Result:
    """One value that a cell showed, as a MIME bundle: text as it is, images in base64.

    ``main`` marks the value of the cell's last expression.
    """

    data: Dict[str, str]
    main: bool = False

    @property
    def text(self) -> Optional[str]:
        """The plain text."""
        return self.data.get("text/plain")

    @property
    def html(self) -> Optional[str]:
        """The HTML, such as a table of pandas."""
        return self.data.get("text/html")

    @property
    def markdown(self) -> Optional[str]:
        """The Markdown."""
        return self.data.get("text/markdown")

    @property
    def svg(self) -> Optional[str]:
        """The SVG drawing."""
        return self.data.get("image/svg+xml")

    @property
    def png(self) -> Optional[str]:
        """The PNG image, in base64."""
        return self.data.get("image/png")

    @property
    def jpeg(self) -> Optional[str]:
        """The JPEG image, in base64."""
        return self.data.get("image/jpeg")

    @property
    def chart(self) -> Optional[str]:
        """The first image that there is."""
        return self.png or self.jpeg or self.svg

    @property
    def json(self) -> Any:
        """The value of application/json, read."""
        text = self.data.get("application/json")
        return None if text is None else json.loads(text)

    def bytes_of(self, mime: str) -> bytes:
        """The exact bytes of one representation: an image's, or text in UTF-8."""
        value = self.data[mime]
        if mime.startswith("image/") and mime != "image/svg+xml":
            return base64.b64decode(value)
        return value.encode()

    @classmethod
    def from_json(cls, data: Json) -> Result:
        """Reads the server's description."""
        return cls({str(k): str(v) for k, v in mapping_of(data, "data").items()}, bool(data.get("main")))


@dataclass(frozen=True)
class CodeError:
    """An exception that ended a cell."""

    name: str
    value: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


@dataclass(frozen=True)
class Execution:
    """The end of one cell. An exception in it, and its timeout, are no errors of Brig."""

    results: List[Result]
    stdout: str = ""
    stderr: str = ""
    error: Optional[CodeError] = None
    execution_count: int = 0
    timed_out: bool = False
    restarted: bool = False
    truncated: bool = False
    duration_ms: int = 0

    @property
    def exit_code(self) -> int:
        """0, 1 after an exception, 124 after a timeout, 137 when the kernel died."""
        if self.timed_out:
            return 124
        if self.restarted:
            return 137
        return 1 if self.error else 0

    @property
    def text(self) -> Optional[str]:
        """The plain text of the last expression's value, else of the first result."""
        main = [r for r in self.results if r.main] or self.results
        return main[0].text if main else None

    @property
    def png(self) -> Optional[str]:
        """The first PNG image, in base64."""
        return next((r.png for r in self.results if r.png), None)

    @classmethod
    def from_json(cls, data: Json) -> Execution:
        """Reads the server's description."""
        error = mapping_of(data, "error")
        return cls(
            results=[Result.from_json(r) for r in data.get("results") or []],
            stdout=text_of(data, "stdout"),
            stderr=text_of(data, "stderr"),
            error=CodeError(text_of(error, "name"), text_of(error, "value"), text_of(error, "traceback")) if error else None,
            execution_count=int(number_of(data, "execution_count")),
            timed_out=bool(data.get("timed_out")),
            restarted=bool(data.get("restarted")),
            truncated=bool(data.get("truncated")),
            duration_ms=int(number_of(data, "wall_ms")),
        )


@dataclass(frozen=True)
class CodeEvent:
    """Something that a cell says while it runs; one field is set."""

    stdout: str = ""
    stderr: str = ""
    result: Optional[Result] = None

    @classmethod
    def from_json(cls, data: Json) -> CodeEvent:
        """Reads the server's description."""
        result = data.get("result")
        return cls(text_of(data, "stdout"), text_of(data, "stderr"), Result.from_json(result) if isinstance(result, Mapping) else None)

# Made by generate.py from _async/program.py; change that.
"""The contract of a batch's item, for one sandbox, and the four calls that agents want."""

from __future__ import annotations

import json
import posixpath
from types import TracebackType
from typing import Any, Optional, Protocol, Type

from .. import _sio
from ..errors import BrigError
from ..results import ExecResult
from .client import Client
from .sandbox import Sandbox

_WORK = "/work"


def run_program(sandbox: Sandbox, code: str, input: Any = None, *, timeout_seconds: float = 60.0) -> Any:
    """Runs Python code over an input and gives its result.

    The code finds the input in /work/input.json and leaves the result, JSON, in
    /work/result.json. What it prints is for debugging. CommandFailed or SandboxTimeout
    when it does not end with 0; BrigError when there is no result, or it is not JSON.
    """
    sandbox.filesystem.write("/work/input.json", json.dumps(input))
    sandbox.filesystem.write("/work/run.py", code)
    sandbox.exec("cd /work && python3 run.py", timeout_seconds, check=True)
    try:
        return json.loads(sandbox.filesystem.read("/work/result.json"))
    except BrigError as error:
        raise BrigError(f"cannot take the result: because {error.message}", code="bad_result") from error
    except ValueError as error:
        raise BrigError(f"cannot take the result: because it is not JSON: {error}", code="bad_result") from error


class Provider(Protocol):
    """The four calls that an agent needs of a place to run code. Implement it to put
    another place under the same agent."""

    def execute(self, command: str, *, timeout_seconds: Optional[float] = None) -> ExecResult:
        """Runs a line of shell to its end."""

    def upload_file(self, path: str, content: bytes) -> None:
        """Makes a file, parents included. A relative path is below the directory that
        commands run in."""

    def download_file(self, path: str) -> bytes:
        """A file's content."""

    def cleanup(self) -> None:
        """Gives everything back. It may be called more than once."""


class BrigProvider:
    """Provider with one Brig sandbox, which is made at the first use; ``options``
    are those of ``Sandboxes.create``. With ``with`` it is cleaned up at the end. It
    may be used concurrently."""

    def __init__(self, template: Optional[str] = None, *, client: Optional[Client] = None, **options: Any) -> None:
        self._template = template
        self._client = client
        self._options = options
        self._sandbox: Optional[Sandbox] = None
        self._lock = _sio.Lock()

    def sandbox(self) -> Sandbox:
        """The sandbox, for what the four calls do not do."""
        with self._lock:
            if self._sandbox is None:
                self._sandbox = Sandbox.create(self._template, client=self._client, **self._options)
            return self._sandbox

    def execute(self, command: str, *, timeout_seconds: Optional[float] = None) -> ExecResult:
        """Runs a line of shell in /work to its end; at a timeout the result says
        ``timed_out``."""
        return (self.sandbox()).exec(command, timeout_seconds, cwd=_WORK)

    def upload_file(self, path: str, content: bytes) -> None:
        """Makes a file, parents included."""
        (self.sandbox()).filesystem.write(posixpath.join(_WORK, path), content)

    def download_file(self, path: str) -> bytes:
        """A file's content, exactly."""
        return (self.sandbox()).filesystem.read(posixpath.join(_WORK, path))

    def cleanup(self) -> None:
        """Destroys the sandbox; the next use makes a new one."""
        with self._lock:
            if self._sandbox is not None:
                self._sandbox.delete()
                self._sandbox = None

    def __enter__(self) -> BrigProvider:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.cleanup()

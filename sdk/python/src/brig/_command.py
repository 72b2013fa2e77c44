"""How a program is asked for, and what its end means to who checks."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Union

from . import _wire
from .errors import CommandFailed, SandboxTimeout
from .results import ExecResult

#: A line for sh, or a list of arguments.
Command = Union[str, Sequence[str]]


def command(cmd: Command, *, stdin: Union[str, bytes, None] = None, user: Optional[str] = None, **fields: Any) -> Dict[str, Any]:
    """The body that asks for a program."""
    body = _wire.without_none({"user": user, **fields})
    if isinstance(cmd, str):
        body["cmd"] = cmd
    else:
        body["argv"] = list(cmd)
    if isinstance(stdin, bytes):
        body["stdin_base64"] = _wire.base64_text(stdin)
    elif stdin is not None:
        body["stdin"] = stdin
    return body


class Started:
    """The process whose output a stream is, once the server has said which."""

    process = ""

    def __call__(self, headers: Mapping[str, str]) -> None:
        self.process = headers.get("x-exec-id", self.process)


def raise_for(cmd: Command, result: ExecResult) -> None:
    """Makes an error of a program that did not end with 0."""
    if result.ok:
        return
    shown = (cmd if isinstance(cmd, str) else " ".join(cmd))[:200]
    if result.timed_out:
        raise SandboxTimeout(f"{shown!r} was ended at its timeout", result)
    said = result.stderr.strip().splitlines()[-1:] or [result.verdict]
    raise CommandFailed(f"{shown!r} ended with exit code {result.exit_code}: {said[0][:500]}", result)

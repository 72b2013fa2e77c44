"""What can go wrong. A program that fails in a sandbox is not among it: that is a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Optional, Type

if TYPE_CHECKING:
    from .results import ExecResult


class BrigError(Exception):
    """Something that Brig could not do.

    ``str(error)`` says what and why; ``fix`` is one line that mends it, or "".
    ``code`` is the server's word for the kind of failure, ``status_code`` the HTTP
    status (0 when no answer came), ``request_id`` finds it in the server's log.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        fix: str = "",
        status_code: int = 0,
        request_id: str = "",
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.fix = fix
        self.status_code = status_code
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.fix})" if self.fix else self.message


class AuthError(BrigError):
    """The key is missing, wrong, revoked, expired, or not allowed to do this."""


class NotFoundError(BrigError):
    """There is no such thing, or it belongs to somebody else."""


class BadRequestError(BrigError):
    """The request makes no sense; sending it again does not help."""


class ConflictError(BadRequestError):
    """The sandbox is in the wrong state for this, such as paused."""


class ExhaustedError(BadRequestError):
    """There was no room or no quota for it, also after waiting."""


class ServerError(BrigError):
    """The server failed."""


class UnavailableError(ServerError):
    """The server cannot do it now."""


class UnsupportedError(ServerError):
    """This server does not have that."""


class APIConnectionError(BrigError):
    """The server could not be reached, or its answer broke off."""


class StreamInterrupted(APIConnectionError):
    """A stream ended before the program did: its fate is not known."""


class CommandFailed(BrigError):
    """A program did not end with exit code 0, and ``check`` was asked for."""

    def __init__(self, message: str, result: ExecResult) -> None:
        super().__init__(message, code="command_failed")
        self.result = result
        self.exit_code = result.exit_code
        self.stdout = result.stdout
        self.stderr = result.stderr


class SandboxTimeout(CommandFailed):
    """A program was ended at its timeout, and ``check`` was asked for."""


_BY_STATUS: Mapping[int, Type[BrigError]] = {
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    409: ConflictError,
    429: ExhaustedError,
    501: UnsupportedError,
    502: UnavailableError,
    503: UnavailableError,
}


def error_class(status_code: int) -> Type[BrigError]:
    """The class of an answer with this status."""
    known = _BY_STATUS.get(status_code)
    if known is not None:
        return known
    return BadRequestError if 400 <= status_code < 500 else ServerError

"""What ``map`` and ``amap`` share: results, keys, the file to resume from, progress."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Mapping, Optional, Sized, Union

from .errors import (
    APIConnectionError,
    AuthError,
    BadRequestError,
    BrigError,
    ExhaustedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)

#: How long an item's sandbox may live.
MAP_TTL_SECONDS = 600


@dataclass(frozen=True)
class ItemResult:
    """The end of one item: ``value`` is what the work gave, or ``error`` says why there
    is none. ``resumed`` marks one of an earlier run."""

    key: str
    ok: bool
    value: Any = None
    error: str = ""
    attempts: int = 1
    seconds: float = 0.0
    resumed: bool = False
    exception: Optional[BaseException] = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Progress:
    """How far a map is. ``total`` is None for items that cannot be counted."""

    done: int
    failed: int
    resumed: int
    running: int
    total: Optional[int]
    seconds: float

    @property
    def rate(self) -> float:
        """Items a second, without those of an earlier run."""
        return (self.done - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        of = "" if self.total is None else f"/{self.total}"
        return f"{self.done}{of} done, {self.failed} failed, {self.running} running, {self.rate:.1f}/s"


ProgressTo = Union[bool, Callable[[Progress], object], None]
Key = Optional[Callable[[Any], str]]


class Book:
    """Keeps the account of one map."""

    def __init__(self, items: Any, key: Key, resume: Union[str, "os.PathLike[str]", None], progress: ProgressTo) -> None:
        self._key = key
        self._seen: Dict[str, int] = {}
        self._total = len(items) if isinstance(items, Sized) else None
        self._tell: Optional[Callable[[Progress], object]] = progress if callable(progress) else _Line() if progress else None
        self._began = time.monotonic()
        self._done = self._failed = self._resumed = 0
        self._old = _read(resume) if resume else {}
        self._file = open(resume, "ab") if resume else None

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()

    def key_of(self, position: int, item: Any) -> str:
        """The item's key; no two items may have the same one."""
        key = self._name(position, item)
        if key in self._seen:
            raise BadRequestError(
                f"cannot map: because the items {self._seen[key]} and {position} have the same key {key!r}",
                code="invalid",
                fix="give map a key= that differs for each item",
            )
        self._seen[key] = position
        return key

    def _name(self, position: int, item: Any) -> str:
        if self._key:
            return self._key(item)
        if isinstance(item, Mapping):
            for name in ("custom_id", "id"):
                if name in item:
                    return str(item[name])
        return str(position)

    def old(self, key: str) -> Optional[ItemResult]:
        """The good result of an earlier run."""
        return self._old.pop(key, None)

    def add(self, result: ItemResult, running: int) -> ItemResult:
        """Keeps a result before anybody sees it, and tells how far it is."""
        if self._file and not result.resumed:
            result = self._keep(result)
        self._done += 1
        self._failed += not result.ok
        self._resumed += result.resumed
        if self._tell:
            seconds = time.monotonic() - self._began
            self._tell(Progress(self._done, self._failed, self._resumed, running, self._total, seconds))
        return result

    def _keep(self, result: ItemResult) -> ItemResult:
        line = {"key": result.key, "ok": result.ok, "value": result.value, "error": result.error, "attempts": result.attempts}
        try:
            text = json.dumps(line)
        except (TypeError, ValueError) as error:
            result = ItemResult(result.key, False, error=f"cannot keep the value: because {error}", exception=error)
            return self._keep(result)
        assert self._file
        self._file.write(text.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return result


def _read(path: Union[str, "os.PathLike[str]"]) -> Dict[str, ItemResult]:
    """Good results by key. A last line that a crash cut off is removed."""
    if not os.path.exists(path):
        return {}
    found: Dict[str, ItemResult] = {}
    whole = 0
    with open(path, "rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            result = _result(line)
            if result:
                found[result.key] = result
    os.truncate(path, whole)
    return found


def _result(line: bytes) -> Optional[ItemResult]:
    """The good result that a line has; None for another one, and for one that a crash
    of the SDK for Go or JavaScript cut off: their files can be gone on with, too."""
    try:
        data = json.loads(line)
    except ValueError:
        return None
    if not isinstance(data, dict) or data.get("ok") is not True or not isinstance(data.get("key"), str):
        return None
    return ItemResult(data["key"], True, data.get("value"), attempts=data.get("attempts", 1), resumed=True)


class _Line:
    """Progress on stderr: one line that is drawn again on a terminal, else a line now
    and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        last = progress.done == progress.total
        if not last and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.1 if self._terminal else 5.0)
        start, end = ("\r\x1b[K", "\n" if last else "") if self._terminal else ("", "\n")
        print(f"{start}{progress}", end=end, file=sys.stderr, flush=True)


def hopeless(error: BrigError) -> bool:
    """Whether making a sandbox will fail for every item."""
    wrong = (AuthError, BadRequestError, NotFoundError, UnsupportedError)
    return isinstance(error, wrong) and not isinstance(error, ExhaustedError)


def again(error: BaseException) -> bool:
    """Whether it was Brig that failed, and not the item."""
    return isinstance(error, (APIConnectionError, UnavailableError, ExhaustedError))


def failed(key: str, error: BaseException, attempts: int, seconds: float) -> ItemResult:
    """The result of an item whose work raised."""
    text = str(error) or type(error).__name__
    return ItemResult(key, False, error=text, attempts=attempts, seconds=seconds, exception=error)

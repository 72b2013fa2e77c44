"""Makes the synchronous client, src/brig/_sync, from the asynchronous one.

    python generate.py          # writes it
    python generate.py --check  # fails when it is not up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "src" / "brig"

HEADER = "# Made by generate.py from {name}; change that.\n"

# In this order. Words are whole words, so that text stays as it is.
RULES = [
    (r"async def", "def"),
    (r"async with", "with"),
    (r"async for", "for"),
    (r"await ", ""),
    (r"asynccontextmanager", "contextmanager"),
    (r"AsyncClient", "Client"),
    (r"AsyncHTTPTransport", "HTTPTransport"),
    (r"AsyncIterator", "Iterator"),
    (r"AsyncIterable", "Iterable"),
    (r"Async([A-Z]\w*)", r"\1"),
    (r"__aenter__", "__enter__"),
    (r"__aexit__", "__exit__"),
    (r"aclose", "close"),
    (r"aread", "read"),
    (r"aiter_bytes", "iter_bytes"),
    (r"_aio", "_sio"),
    (r"asynchronous", "synchronous"),
    (r"``_sync`` is made from it by generate.py.", "It is made by generate.py."),
]


def synchronous(source: str, name: str) -> str:
    """The synchronous form of a module."""
    for pattern, replacement in RULES:
        source = re.sub(r"(?<![A-Za-z0-9])" + pattern + ("" if pattern.endswith((" ", ".")) else r"(?![A-Za-z0-9])"), replacement, source)
    return HEADER.format(name=name) + source


def main() -> int:
    """Writes every module, or says which ones are stale."""
    check = sys.argv[1:] == ["--check"]
    stale = []
    made = set()
    for path in sorted((PACKAGE / "_async").glob("*.py")):
        target = PACKAGE / "_sync" / path.name
        made.add(target)
        text = synchronous(path.read_text(), f"_async/{path.name}")
        if check and (not target.exists() or target.read_text() != text):
            stale.append(target)
        if not check:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
    stale += [p for p in (PACKAGE / "_sync").glob("*.py") if p not in made]
    for path in stale:
        print(f"{path} is not what generate.py makes: run it")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

"""Run untrusted code in throwaway Brig sandboxes.

    from brig import Sandbox

    with Sandbox.create(template="python", ttl_seconds=60) as sb:
        sb.filesystem.write("/work/run.py", "print(6 * 7)")
        print(sb.exec("python3 /work/run.py", timeout_seconds=20).stdout)

Every class that talks to the server has an asynchronous twin: AsyncSandbox,
AsyncClient, …
"""

from __future__ import annotations

from ._amap import amap
from ._async.client import AsyncClient
from ._async.code import AsyncCodeContext
from ._async.default import set_default_client as set_default_async_client
from ._async.process import AsyncProcess
from ._async.program import AsyncBrigProvider, AsyncProvider
from ._async.program import run_program as arun_program
from ._async.sandbox import AsyncSandbox
from ._map import map
from ._sync.client import Client
from ._sync.code import CodeContext
from ._sync.default import set_default_client
from ._sync.process import Process
from ._sync.program import BrigProvider, Provider, run_program
from ._sync.sandbox import Sandbox
from .errors import (
    APIConnectionError,
    AuthError,
    BadRequestError,
    BrigError,
    CommandFailed,
    ConflictError,
    ExhaustedError,
    NotFoundError,
    SandboxTimeout,
    ServerError,
    StreamInterrupted,
    UnavailableError,
    UnsupportedError,
)
from .jobs import Batch, BatchResult, Build, Key, Port, Preview, Upload
from .mapping import ItemResult, Progress
from .models import (
    Event,
    FileChange,
    FileInfo,
    Lifecycle,
    PromoteResult,
    SandboxInfo,
    SnapshotInfo,
    Template,
)
from .results import (
    CodeContextInfo,
    CodeError,
    CodeEvent,
    ExecResult,
    Execution,
    Output,
    ProcessInfo,
    Result,
)

__version__ = "0.1.0"

#: The name that samples for PandaStack use.
PandaStack = Client

__all__ = [
    "APIConnectionError",
    "AsyncBrigProvider",
    "AsyncClient",
    "AsyncCodeContext",
    "AsyncProcess",
    "AsyncProvider",
    "AsyncSandbox",
    "AuthError",
    "BadRequestError",
    "Batch",
    "BatchResult",
    "BrigError",
    "BrigProvider",
    "Build",
    "Client",
    "CodeContext",
    "CodeContextInfo",
    "CodeError",
    "CodeEvent",
    "CommandFailed",
    "ConflictError",
    "Event",
    "ExecResult",
    "Execution",
    "ExhaustedError",
    "FileChange",
    "FileInfo",
    "ItemResult",
    "Key",
    "Lifecycle",
    "NotFoundError",
    "Output",
    "PandaStack",
    "Port",
    "Preview",
    "Process",
    "ProcessInfo",
    "Progress",
    "PromoteResult",
    "Provider",
    "Result",
    "Sandbox",
    "SandboxInfo",
    "SandboxTimeout",
    "ServerError",
    "SnapshotInfo",
    "StreamInterrupted",
    "Template",
    "UnavailableError",
    "UnsupportedError",
    "Upload",
    "__version__",
    "amap",
    "arun_program",
    "map",
    "run_program",
    "set_default_async_client",
    "set_default_client",
]

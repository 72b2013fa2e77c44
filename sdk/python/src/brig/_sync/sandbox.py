# Made by generate.py from _async/sandbox.py; change that.
"""One sandbox: its programs, and its life."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterator, Callable, Dict, List, Mapping, Optional, Type, Union

from .. import _sio, _wire, models, results
from .._command import Command, Started, command, raise_for
from ..errors import APIConnectionError, BrigError, NotFoundError
from .code import Code, CodeContext
from .default import default_client
from .files import Filesystem
from .life import Life
from .ports import Ports
from .process import Process
from .transport import content_of

if TYPE_CHECKING:
    from .client import Client


class Sandbox(Life):
    """One throwaway sandbox.

    ``info`` is what the server said of it last: when this value was made, or at
    ``refresh``. Used with ``with``, it is destroyed at the end, unless it is persistent.
    """

    def __init__(self, client: Client, info: models.SandboxInfo) -> None:
        super().__init__(client.transport, info)
        self._client = client
        self.filesystem = Filesystem(self._transport, info.id)
        self.files = self.filesystem
        self.code = Code(self._transport, info.id)
        self.ports = Ports(self._transport, info.id)
        self.commands = Commands(self)

    @classmethod
    def create(
        cls, template: Optional[str] = None, *, client: Optional[Client] = None, **options: Any
    ) -> Sandbox:
        """Makes one; see ``Sandboxes.create`` for the options. Without a client, one
        is made from the environment and shared."""
        return (client or default_client()).sandboxes.create(template, **options)

    @classmethod
    def get(cls, sandbox_id: str, *, client: Optional[Client] = None) -> Sandbox:
        """Finds one by its id, or by a name that only one has."""
        return (client or default_client()).sandboxes.get(sandbox_id)

    @classmethod
    def list(cls, *, client: Optional[Client] = None, **filters: Any) -> List[Sandbox]:
        """Gives them, the newest first; see ``Sandboxes.list`` for the filters."""
        return (client or default_client()).sandboxes.list(**filters)

    @property
    def status(self) -> str:
        """running, paused, hibernated, deleted or failed, as the server said last."""
        return self.info.status

    @property
    def template(self) -> str:
        """What it was made from."""
        return self.info.template

    @property
    def metadata(self) -> Dict[str, str]:
        """The caller's words about it."""
        return self.info.metadata

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.template} {self.status}>"

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if not self.info.persistent:
            self.delete()

    def exec(
        self,
        cmd: Command,
        timeout_seconds: Optional[float] = None,
        *,
        check: bool = False,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        stdin: Union[str, bytes, None] = None,
        user: Optional[str] = None,
        output_bytes: Optional[int] = None,
    ) -> results.ExecResult:
        """Runs a program to its end: a line for sh, or a list of arguments.

        It is ended after ``timeout_seconds`` (default 300) with all that it started; the
        result then has ``timed_out``, exit code 124, and what was printed. With ``check``
        that is a SandboxTimeout, and any other exit code but 0 a CommandFailed; both
        carry the result. ``output_bytes`` bounds what may be printed (default 16 MiB).
        ``user`` is whom it runs as: "user" (the default), "root", another of its users,
        or a uid; a group may follow, "uid:gid".
        """
        body = command(cmd, timeout_seconds=timeout_seconds, cwd=cwd, env=env, stdin=stdin, user=user, output_bytes=output_bytes)
        body["on_timeout"] = "result"
        seconds = (timeout_seconds or 300.0) + _wire.ANSWER_SECONDS
        result = results.ExecResult.from_json(self._post("exec", body, seconds))
        if check:
            raise_for(cmd, result)
        return result

    def exec_stream(
        self,
        cmd: Command,
        on_stdout: Optional[Callable[[str], object]] = None,
        on_stderr: Optional[Callable[[str], object]] = None,
        timeout_seconds: Optional[float] = None,
        *,
        check: bool = False,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        stdin: Union[str, bytes, None] = None,
        user: Optional[str] = None,
    ) -> results.ExecResult:
        """Runs a program and hands over what it prints as it comes, as text.

        A connection that breaks is made again, and the stream goes on where it was. A
        caller that gives up, with an exception, ends the program; that of a caller which
        is killed ends 15 seconds later. Use ``start`` for one that shall outlive its
        caller, and for exact bytes. The result has no output.
        """
        body = command(cmd, timeout_seconds=timeout_seconds, cwd=cwd, env=env, stdin=stdin, user=user)
        body["on_timeout"] = "result"
        give = {"stdout": on_stdout, "stderr": on_stderr}
        end, started = None, Started()
        try:
            for event in self._stream(body, started):
                listener = give.get(event.name)
                if listener:
                    listener(event.data["chunk"])
                elif event.name == "exit":
                    end = results.ExecResult.from_json(event.data)
            if end is None:
                raise _wire.interrupted()
        except APIConnectionError:
            raise  # nobody hears that it may end: it does when its output is not asked for
        except BaseException:
            self._give_up(started)
            raise
        if check:
            raise_for(cmd, end)
        return end

    def _give_up(self, started: Started) -> None:
        """Ends a program whose caller does not want its end any more."""
        if started.process:
            path = self._path("processes", started.process, "signal")
            try:
                self._transport.call("POST", path, body={"signal": "KILL", "tree": True}, seconds=_wire.KILL_SECONDS)
            except BrigError:
                pass  # it has ended, or does when nobody comes back for its output

    def _stream(self, body: Mapping[str, Any], started: Started) -> Iterator[_wire.ServerEvent]:
        """The events of a program. Only one that is known to run is taken up again."""
        place, failures = "", 0
        while True:
            method, headers = ("GET", {"Last-Event-ID": place}) if place else ("POST", {})
            try:
                with self._transport.events(
                    method, self._path("exec", "stream"), body=None if place else body, headers=headers, opened=started
                ) as events:
                    for event in events:
                        yield event
                        place, failures = event.id or place, 0
                        if event.name == "exit":
                            return
                raise _wire.interrupted()
            except APIConnectionError:
                failures += 1
                if not place or failures > _wire.RECONNECTS:
                    raise
                _sio.sleep(0.1 * 2**failures)

    def start(
        self,
        cmd: Command,
        *,
        timeout_seconds: Optional[float] = None,
        cwd: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        user: Optional[str] = None,
        tag: Optional[str] = None,
        open_stdin: bool = False,
        terminal: Optional[Mapping[str, int]] = None,
    ) -> Process:
        """Starts a program that runs on after this call, for up to 24 hours.

        With ``open_stdin`` its input is what ``write`` brings; ``terminal`` ({"rows": 24,
        "cols": 80}) gives it one.
        """
        body = command(cmd, timeout_seconds=timeout_seconds, cwd=cwd, env=env, user=user, tag=tag, terminal=terminal)
        body["open_stdin"] = open_stdin
        return Process(self._transport, self.id, results.ProcessInfo.from_json(self._post("processes", body)))

    def processes(self) -> List[Process]:
        """The programs that were started, ended ones too."""
        found = self._transport.call("GET", self._path("processes"))
        return [Process(self._transport, self.id, results.ProcessInfo.from_json(p)) for p in found]

    def process(self, process_id: str) -> Process:
        """One that was started before, without asking the server."""
        return Process(self._transport, self.id, results.ProcessInfo(process_id, 0, [], True))

    def run_code(
        self,
        code: str,
        language: str = "python",
        *,
        context: Union[str, CodeContext, None] = None,
        timeout_seconds: Optional[float] = None,
        on_event: Optional[Callable[[results.CodeEvent], object]] = None,
    ) -> results.Execution:
        """Runs one cell in an interpreter that keeps its state; see ``Code.run``."""
        return self.code.run(code, language, context=context, timeout_seconds=timeout_seconds, on_event=on_event)

    def create_code_context(self, language: str = "python", *, cwd: Optional[str] = None) -> CodeContext:
        """Opens an interpreter session beside the languages' default ones."""
        return self.code.create_context(language, cwd=cwd)

    def refresh(self) -> Sandbox:
        """Asks the server for ``info`` again."""
        self.info = models.SandboxInfo.from_json(self._transport.call("GET", self._path()))
        return self

    def delete(self) -> None:
        """Destroys it and returns when nothing in it can run any more. It is no error
        when it is gone already."""
        try:
            self._transport.remove(self._path())
        except NotFoundError:
            pass

    def kill(self) -> None:
        """Another name of ``delete``."""
        self.delete()

    def fork(
        self, metadata: Optional[Mapping[str, object]] = None, *, name: Optional[str] = None, ttl_seconds: Optional[float] = None
    ) -> Sandbox:
        """Makes one child of this moment, with the programs that run; see ``fork_tree``."""
        return (self.fork_tree(1, metadata, name=name, ttl_seconds=ttl_seconds))[0]

    def fork_tree(
        self,
        count: int,
        metadata: Optional[Mapping[str, object]] = None,
        *,
        name: Optional[str] = None,
        ttl_seconds: Optional[float] = None,
    ) -> List[Sandbox]:
        """Makes up to 64 children of one moment; the sandbox goes on. Fewer come back
        when there was no room for all."""
        words = _wire.metadata(metadata)
        body = _wire.without_none({"count": count, "metadata": words, "name": name, "ttl_seconds": ttl_seconds})
        made = self._post("fork-tree", body)
        return [Sandbox(self._client, models.SandboxInfo.from_json(c)) for c in made["children"]]

    def promote(self, *, cleanup_siblings: bool = True) -> models.PromoteResult:
        """Keeps this child of a fork and, unless told otherwise, destroys its siblings."""
        return models.PromoteResult.from_json(self._post("promote", {"cleanup_siblings": cleanup_siblings}))

    def logs(self, stream: str = "both") -> str:
        """The end of what its programs printed; stdout, stderr or both. It outlives the
        sandbox."""
        with self._transport.stream("GET", self._path("logs"), params={"stream": stream}) as response:
            return (content_of(response)).decode("utf-8", "replace")

    def follow_logs(self, stream: str = "both") -> Iterator[str]:
        """What its programs have printed and print, until it ends."""
        params = {"stream": stream, "follow": "1"}
        with self._transport.events("GET", self._path("logs"), params=params) as events:
            for event in events:
                yield str(event.data["chunk"])

    def events(self, tail: int = 0) -> List[models.Event]:
        """What happened to it, the oldest first; the newest ``tail``, 0 = all."""
        found = self._transport.call("GET", self._path("events"), params={"tail": tail})
        return [models.Event.from_json(e) for e in found]

    def stats(self) -> Dict[str, Any]:
        """What it uses now: cpu_ms, memory_bytes, peak_memory_bytes, processes, …"""
        return dict(self._transport.call("GET", self._path("stats")))


class Commands:
    """Another spelling of ``exec``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, cmd: Command, timeout: Optional[float] = None, **options: Any) -> results.ExecResult:
        """Runs a program to its end; the options are those of ``exec``."""
        return self._sandbox.exec(cmd, timeout, **options)

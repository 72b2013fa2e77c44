# Made by generate.py from _async/templates.py; change that.
"""The templates of one server."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Optional, Tuple

from .. import _sio, _wire
from ..errors import ServerError
from ..jobs import Build
from ..models import Template
from .transport import Transport


class Templates:
    """Root filesystems to start sandboxes from."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> List[Template]:
        """All that there are."""
        return [Template.from_json(t) for t in self._transport.call("GET", _wire.path("templates"))]

    def get(self, name: str) -> Template:
        """One by its name."""
        return Template.from_json(self._transport.call("GET", _wire.path("templates", name)))

    def delete(self, name: str) -> None:
        """Removes one of the caller's own."""
        self._transport.remove(_wire.path("templates", name))

    def build(
        self,
        name: str,
        *,
        dockerfile: Optional[str] = None,
        image_ref: Optional[str] = None,
        context: Optional[Mapping[str, bytes]] = None,
        **options: object,
    ) -> Build:
        """Begins to build one from the text of a Dockerfile, whose COPY finds the files of
        ``context`` by their relative paths, or from an image of a registry. Options:
        target, run_memory_mb, run_disk_mb, run_timeout_seconds, no_bake, …"""
        fields = _wire.without_none({"name": name, "dockerfile": dockerfile, "image_ref": image_ref, **options})
        parts: List[Tuple[str, Any]] = [(key, (None, _wire.form_text(value))) for key, value in fields.items()]
        parts += [(path, (path, content)) for path, content in (context or {}).items()]
        return Build.from_json(self._transport.post_form(_wire.path("templates", "build"), parts))

    def builds(self) -> List[Build]:
        """The builds that are remembered, the newest first."""
        return [Build.from_json(b) for b in self._transport.call("GET", _wire.path("templates", "builds"))]

    def get_build(self, build_id: str) -> Build:
        """How a build is."""
        return Build.from_json(self._transport.call("GET", _wire.path("templates", "builds", build_id)))

    def build_logs(self, build_id: str) -> Iterator[str]:
        """What a build says, until it ends."""
        where = _wire.path("templates", "builds", build_id, "logs")
        with self._transport.events("GET", where, params={"follow": "1"}) as events:
            for event in events:
                if isinstance(event.data, dict) and "line" in event.data:
                    yield str(event.data["line"])

    def wait_for_build(self, build_id: str, *, poll_seconds: float = 0.5) -> Build:
        """Waits for the end of a build; a failed one is a ServerError."""
        while True:
            build = self.get_build(build_id)
            if build.status == "failed":
                raise ServerError(f"cannot build {build.name}: because {build.error}", code="build_failed", fix=build.fix)
            if build.status == "done":
                return build
            _sio.sleep(poll_seconds)

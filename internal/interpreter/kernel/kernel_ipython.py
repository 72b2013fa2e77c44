"""Cells by IPython: its display machinery, magics, tracebacks and await."""
import base64
import json
import os
import re
import shutil
import sys
import tempfile
import types
import warnings

# The package imports its terminal first, which takes more time and memory than
# all that a kernel needs of it.
terminal = types.ModuleType("IPython.terminal.embed")
terminal.embed = None
sys.modules["IPython.terminal.embed"] = terminal
try:
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets import Any, Type
    from traitlets.config import Config
finally:
    del sys.modules["IPython.terminal.embed"], terminal

# As in Jupyter: figures are shown at the end of the cell that made them.
os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def as_text(data):
    """A bundle with binary as base64 and JSON as text."""
    bundle = {}
    for mime, value in data.items():
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode("ascii")
        elif mime.endswith("json") and not isinstance(value, str):
            try:
                value = json.dumps(value, allow_nan=False, default=str)
            except ValueError:
                continue
        elif mime in ("image/png", "image/jpeg"):
            value = value.replace("\n", "")
        bundle[mime] = value
    return bundle


class Hook(DisplayHook):
    """The value of a cell's last expression."""

    def write_output_prompt(self):
        pass

    def write_format_data(self, format_dict, md_dict=None):
        self.shell.kernel.show(as_text(format_dict), main=True)


class Publisher(DisplayPublisher):
    """What display() shows."""

    def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **kwargs):
        self.shell.kernel.show(as_text(data))

    def clear_output(self, wait=False):
        pass


class Interactive(InteractiveShell):
    kernel = Any()
    failed = False  # the cell's error was reported
    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)

    # Programs of "!" write to our descriptors, without a terminal in between.
    system = InteractiveShell.system_raw

    def enable_gui(self, gui=None):
        pass

    def ask_exit(self):
        raise SystemExit(0)

    def _showtraceback(self, etype, evalue, stb):
        text = ANSI.sub("", "\n".join(stb))
        self.kernel.fail(etype.__name__, str(evalue), text)
        self.failed = True

    def show_usage_error(self, exc):
        self.kernel.fail("UsageError", str(exc), "UsageError: %s" % exc)
        self.failed = True


class Shell:
    def __init__(self, kernel):
        where = tempfile.mkdtemp(prefix=".ipython-")
        config = Config({"HistoryManager": {"enabled": False}})  # no file, no thread
        self.shell = Interactive.instance(config=config, kernel=kernel, ipython_dir=where, colors="NoColor")
        shutil.rmtree(where, ignore_errors=True)
        warnings.filterwarnings("ignore", message="To exit: use")
        self.kernel, self.count = kernel, 0

    def run(self, code):
        self.count += 1
        shell = self.shell
        shell.execution_count = self.count
        shell.failed = False
        result = shell.run_cell(code, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        if error is not None and not shell.failed:
            self.kernel.fail(type(error).__name__, str(error), "%s: %s" % (type(error).__name__, error))

    def reset(self):
        self.shell.reset(new_session=True)
        self.count = 0

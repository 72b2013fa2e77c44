"""Cells without IPython: the same results by a small machinery of its own."""
import ast
import asyncio
import base64
import builtins
import inspect
import io
import json
import linecache
import os
import sys
import traceback
import types
import warnings

# The parts of an object's own display, and how a value becomes text.
METHODS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/json": "_repr_json_",
}


def as_text(mime, value):
    if isinstance(value, tuple):  # with metadata
        value = value[0]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if mime.endswith("json") and not isinstance(value, str):
        return json.dumps(value, default=str)
    return value


def bundle(value):
    """All that an object offers. A broken method costs its part only."""
    data = {}
    if not isinstance(value, type):
        full = getattr(value, "_repr_mimebundle_", None)
        if callable(full):
            try:
                offered = full()
                offered = offered[0] if isinstance(offered, tuple) else offered
                data.update({k: as_text(k, v) for k, v in offered.items()})
            except Exception:
                pass
        for mime, name in METHODS.items():
            method = getattr(value, name, None)
            try:
                part = method() if callable(method) and mime not in data else None
                if part is not None:
                    data[mime] = as_text(mime, part)
            except Exception:
                pass
        if is_figure(value):
            data["image/png"] = picture(value)
    data.setdefault("text/plain", repr(value))
    return data


def is_figure(value):
    figure = sys.modules.get("matplotlib.figure")
    return figure is not None and isinstance(value, figure.Figure)


def picture(figure):
    out = io.BytesIO()
    figure.savefig(out, format="png", bbox_inches="tight")
    return base64.b64encode(out.getvalue()).decode("ascii")


class Shell:
    def __init__(self, kernel):
        self.kernel, self.count = kernel, 0
        os.environ.setdefault("MPLBACKEND", "Agg")
        warnings.filterwarnings("ignore", message=".*non-interactive.*cannot be shown")
        self.loop = None
        self.reset()

    def reset(self):
        self.count = 0
        module = types.ModuleType("__main__")
        module.display = self.display
        self.space = module.__dict__
        self.space["__builtins__"] = builtins
        sys.modules["__main__"] = module

    def display(self, *values, raw=False):
        for value in values:
            if raw:
                self.kernel.show({k: as_text(k, v) for k, v in value.items()})
            else:
                self.kernel.show(bundle(value))

    def run(self, code):
        self.count += 1
        name = "<cell %d>" % self.count
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        try:
            self.execute(code, name)
        except BaseException as e:
            self.report(e)
        self.show_figures()

    def execute(self, code, name):
        tree = ast.parse(code, name)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        if tree.body:
            self.evaluate(tree, name, "exec")
        if last is None:
            return
        value = self.evaluate(last, name, "eval")
        if value is not None and not code.rstrip().endswith(";"):
            self.space["_"] = value
            self.kernel.show(bundle(value), main=True)

    def evaluate(self, tree, name, mode):
        code = compile(tree, name, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        value = eval(code, self.space)
        if code.co_flags & inspect.CO_COROUTINE:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                asyncio.set_event_loop(self.loop)
            value = self.loop.run_until_complete(value)
        return value

    def report(self, e):
        tb = e.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
            tb = tb.tb_next
        text = "".join(traceback.format_exception(type(e), e, tb))
        self.kernel.fail(type(e).__name__, str(e), text)

    def show_figures(self):
        """Figures that a cell left open are shown, as in a notebook."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            try:
                figure = pyplot.figure(number)
                self.kernel.show({"image/png": picture(figure), "text/plain": repr(figure)})
            except Exception as e:
                self.report(e)
        pyplot.close("all")

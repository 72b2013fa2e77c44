"""The package as a whole: types, the generated half, what a wheel holds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import brig

HERE = Path(__file__).parents[1]


def run(*argv):
    return subprocess.run([sys.executable, *argv], cwd=HERE, capture_output=True, text=True)


def test_types():
    done = run("-m", "mypy", "--cache-dir", str(Path(sys.prefix) / "mypy"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_synchronous_half_is_up_to_date():
    done = run("generate.py", "--check")
    assert done.returncode == 0, done.stdout


def test_wheel(tmp_path):
    done = run("-c", f"import flit_core.buildapi as b; print(b.build_wheel({str(tmp_path)!r}))")
    assert done.returncode == 0, done.stderr
    names = zipfile.ZipFile(next(tmp_path.glob("brig_sdk-*.whl"))).namelist()
    assert {"brig/py.typed", "brig/_sync/client.py", "brig/_async/client.py"} <= set(names)


def test_every_name_is_there():
    for name in brig.__all__:
        assert getattr(brig, name) is not None
    twins = [n for n in brig.__all__ if n.startswith("Async")]
    assert all(n[len("Async"):] in brig.__all__ for n in twins)

"""The examples of the README run, and print what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.S | re.M)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number, client, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code = EXAMPLES[number]
    wanted = re.findall(r"# -> (.*)", code)
    assert wanted, "an example that shows nothing"
    exec(compile(code, f"README example {number + 1}", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out.splitlines() == wanted

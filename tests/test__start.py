"""Importing the library leaves the garbage collector as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.tree import ROOT


@pytest.mark.parametrize(("before", "after"), [("gc.enable()", "True"), ("gc.disable()", "False")])
def test_the_collector_is_as_it_was(before: str, after: str) -> None:
    script = f"import gc; {before}; import mcpkit; print(gc.isenabled())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == after

"""``python -m mcpkit`` is the command line."""

from __future__ import annotations

import subprocess
import sys

from tests.house.tree import ROOT


def test_the_module_runs_the_command_line_under_its_own_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcpkit", "--help"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: mcpkit")


def test_a_wrong_command_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcpkit", "nonsense"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr

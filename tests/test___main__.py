"""``python -m mcpkit`` is the command line."""

from __future__ import annotations

import subprocess
import sys

from tests.fixtures.started import ROOT, environment


def test_the_module_runs_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcpkit", "--help"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("usage: mcpkit COMMAND")

"""The official conformance suite, run as a user would run it: every scenario that a revision requires passes.

What must never stand here: a list of scenarios that may fail.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from tests.conftest import ROOT, require

SECONDS = 280


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.parametrize("role", ["server", "client"])
def test_conformance(role: str) -> None:
    """FIX-01 to FIX-05: the frozen sets of both revisions that have one."""
    require(shutil.which("npm"), "the suite is installed with npm, which comes with Node.js")
    run = subprocess.Popen(
        [ROOT / "scripts/conformance", role],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = run.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        said, _ = run.communicate()
        pytest.fail(f"still running after {SECONDS} seconds:\n{said}")
    failing = [line for line in said.splitlines() if line.startswith("✗")]
    assert run.returncode == 0, "\n".join([*failing, said[-4000:]])
    assert said.count("Total: ") == 2

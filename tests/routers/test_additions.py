"""The application's tests are for whoever clones it: they hold when tools, resources, prompts and methods are added."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fixtures.started import ROOT, environment

TESTS = (
    "tests/routers/test_tool_router.py",
    "tests/routers/test_resource_router.py",
    "tests/routers/test_prompt_router.py",
    "tests/routers/test_info_router.py",
)


@pytest.mark.slow
def test_the_tests_of_the_application_survive_what_is_added_to_it() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.fixtures.additions", *TESTS]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout

"""Floors: imports only go down. The contracts stand in pyproject.toml; here they are run, and shown to bite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, project_files


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter as scripts/check does, on the packages that stand in ``folder``."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
    )


def test_floors_hold() -> None:
    """Every contract of pyproject.toml is kept."""
    run = lint(ROOT)
    assert run.returncode == 0, f"an import climbs a floor; move what is needed down, or hand it in:\n{run.stdout}"


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("mcpkit/jsonrpc/errors.py", "import asyncio", "Protocol floors do no I/O"),
        ("mcpkit/protocol/exchange.py", "import mcpkit.features", "Floors"),
        ("mcpkit/sessions/__init__.py", "import mcpkit.client", "Floors"),
        ("mcpkit/transports/__init__.py", "import fastapi", "Only the face knows FastAPI"),
        ("mcpkit/host/__init__.py", "import routers", "The application stands on the library"),
        ("mcpkit/host/__init__.py", "import mcp_server", "Nothing reaches up to the scripts"),
        ("mcpkit/stray.py", "", "Floors"),
    ],
)
def test_contracts_bite(tmp_path: Path, file: str, line: str, contract: str) -> None:
    """One wrong import, and the contract that forbids it says so by name."""
    for path in project_files():
        if path.parts[0] in ("mcpkit", "routers", "pyproject.toml"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / path)
    with (tmp_path / file).open("a", encoding="utf-8") as faulty:
        faulty.write(f"\n{line}\n")
    run = lint(tmp_path)
    assert run.returncode != 0
    assert f"{contract} BROKEN" in run.stdout, run.stdout + run.stderr

"""What the library promises: the names of ``mcpkit.__all__``, one a line in public_names.txt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mcpkit
from tests.house.tree import ROOT

SNAPSHOT = Path(__file__).with_name("public_names.txt")


def test_public_names_change_on_purpose() -> None:
    """A name that goes is a broken promise, a name that comes is a new one: both are seen in review."""
    written = SNAPSHOT.read_text(encoding="utf-8").split()
    public = sorted(mcpkit.__all__)
    assert public == written, (
        f"came: {sorted(set(public) - set(written))}, went: {sorted(set(written) - set(public))}; "
        f"if that is meant, write it into {SNAPSHOT.relative_to(ROOT)} (sorted) and CHANGELOG.md"
    )


def test_public_names_exist() -> None:
    """``from mcpkit import *`` works."""
    missing = [name for name in mcpkit.__all__ if not hasattr(mcpkit, name)]
    assert not missing, f"mcpkit.__all__ promises {missing}"


def test_importing_the_library_is_cheap() -> None:
    """A stdio server starts without a web framework, an HTTP client or a metrics library."""
    heavy = ["fastapi", "starlette", "uvicorn", "httpx", "sse_starlette", "prometheus_client", "redis"]
    script = f"import sys, mcpkit; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()
    assert loaded == "[]", f"`import mcpkit` loads {loaded}: import it where it is used"

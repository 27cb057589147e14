"""Tests mirror the house: mcpkit/a/b.py is tested by tests/a/test_b.py, and nothing else is in those folders."""

from __future__ import annotations

from pathlib import Path

from tests.house.tree import SCRIPTS, none, project_files, python_files

EXEMPT = {
    "mcpkit/protocol/types.py": "declares the wire's shapes, runs nothing",
    "mcpkit/sessions/delivery.py": "ports of what other files implement, runs nothing",
    "mcpkit/sessions/store.py": "a port of what other files implement, runs nothing",
}
"""File → why it needs no test file of its own. Package files (__init__.py) hold names only."""


def mirrored(path: Path) -> Path:
    """Where the tests of a file stand."""
    inner = Path(*path.parts[1:]) if path.parts[0] == "mcpkit" else path
    return Path("tests") / inner.with_name(f"test_{inner.name}")


def test_every_file_has_its_tests() -> None:
    """Who changes a file knows where its tests are."""
    sources = [path for path in python_files("mcpkit", "routers", *SCRIPTS) if path.name != "__init__.py"]
    missing = [
        f"{path} → {mirrored(path)}"
        for path in sources
        if str(path) not in EXEMPT and mirrored(path) not in project_files()
    ]
    none(missing, "write the test file, named after the file that it tests:")


def test_exemptions_are_needed() -> None:
    """An exemption goes when its file goes or gets tests."""
    stale = [name for name in EXEMPT if Path(name) not in project_files() or mirrored(Path(name)) in project_files()]
    none(stale, "take these out of EXEMPT:")

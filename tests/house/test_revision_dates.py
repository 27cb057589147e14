"""Revisions are values: nothing outside mcpkit/protocol/revisions/ names one by its date or asks which era it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.house.tree import SCRIPTS, none, prose, python_files, tree

HOME = Path("mcpkit/protocol/revisions")
DATES = {path.stem[1:].replace("_", "-") for path in python_files("mcpkit") if path.match(f"{HOME}/v????_??_??.py")}
ASKS_THE_ERA = {
    "mcpkit/protocol/classify.py",
    "mcpkit/transports/session_http.py",
    "mcpkit/transports/stdio.py",
    "mcpkit/client/era.py",
}

CODE = [path for path in python_files("mcpkit", "routers", *SCRIPTS) if HOME not in path.parents]


def test_the_scan_knows_the_dates() -> None:
    """All five revisions, read off their files' names."""
    assert len(DATES) == 5, f"found {sorted(DATES)} in {HOME}; a revision is one file named vYYYY_MM_DD.py"


def test_dates_stay_home() -> None:
    """VER-06: a date in a string is a version ``if`` in the making; prose may name dates."""
    pattern = re.compile("|".join(map(re.escape, DATES)) or r"\d{4}-\d{2}-\d{2}")
    strays = [
        f"{path}:{node.lineno} {node.value!r}"
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose(tree(path))
        if pattern.search(node.value)
    ]
    none(strays, f"ask the Revision object (a field, a Change) or use a name from {HOME}/registry.py:")


def test_few_ask_for_the_era() -> None:
    """How a conversation opens is decided at the doors; behind them a revision's fields say what to do."""
    strays = [
        f"{path}:{node.lineno}"
        for path in CODE
        if str(path) not in ASKS_THE_ERA
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "era"
    ]
    none(strays, "read a field of the Revision that says what to do, not which era it is:")

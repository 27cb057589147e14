"""docs/security.md states promises beside the tests that keep them: each of these tests exists, by that name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import none, project_files, text, tree

PAGE = Path("docs/security.md")
NAMED = re.compile(r"`((?:tests/[\w/]*|test_\w+|\w+)(?:/?test_\w+)?(?:\.py)?(?:::\w+)?)`")


def named(page: str) -> list[str]:
    """Whatever looks like a test, a file of tests or a folder of them."""
    return [name for name in NAMED.findall(page) if name.startswith("tests/") or (".py" in name and "test_" in name)]


def missing(name: str) -> str | None:
    """What is wrong with a name, if anything."""
    file, _, function = name.partition("::")
    found = [path for path in project_files() if str(path) == file or (path.name == file and path.parts[0] == "tests")]
    if not found and any(str(path).startswith(file.rstrip("/") + "/") for path in project_files()):
        return None
    if len(found) != 1:
        return f"{name}: {len(found)} files of that name"
    known = {node.name for node in ast.walk(tree(found[0])) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return None if not function or function in known else f"{name}: no such test"


def test_every_test_that_is_named_exists() -> None:
    """A promise without its test is a wish."""
    names = named(text(PAGE))
    assert len(names) > 60
    none([fault for name in names if (fault := missing(name))], "docs/security.md names what there is not:")


def test_every_row_has_its_test() -> None:
    """The last column of each table says what keeps the promise."""
    tables = re.findall(r"^\|[^\n]*\| Kept by \|\n\|[-|]*\n((?:\|[^\n]*\n)+)", text(PAGE), re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) > 35
    bare = [row[:100] for row in rows if not named(row.rstrip(" |").rpartition("|")[2])]
    none(bare, "docs/security.md: name the test that keeps this promise:")


@pytest.mark.parametrize("name", ["test_nowhere.py", "tests/house/test_promises.py::test_not_there", "tests/nowhere/"])
def test_a_wrong_name_is_seen(name: str) -> None:
    """The check can fail."""
    assert missing(name)

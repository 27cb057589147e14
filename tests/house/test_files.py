"""Habits of every file: it opens with a docstring, and the environment is read in settings alone."""

from __future__ import annotations

import ast

from tests.house.tree import SCRIPTS, docstring_of, none, python_files, tree

READS_THE_ENVIRONMENT = {
    "mcpkit/settings/sources.py": "the one place",
    "mcpkit/client/transports/stdio.py": "hands a child process the part of the environment that programs need to run",
}

CODE = python_files("mcpkit", "routers", *SCRIPTS)


def test_every_file_opens_with_a_docstring() -> None:
    """What lives here; what must never."""
    bare = [str(path) for path in python_files() if docstring_of(tree(path)) is None]
    none(bare, "open the file with a docstring: what lives here; what must never:")


def test_the_environment_is_read_in_one_place() -> None:
    """Every variable and its default stands in mcpkit/settings/, nowhere else."""
    readers = [
        f"{path}:{node.lineno}"
        for path in CODE
        if str(path) not in READS_THE_ENVIRONMENT
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
    ]
    none(readers, "take the value from Settings:")

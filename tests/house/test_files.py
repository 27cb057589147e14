"""Habits of every file: it opens with a docstring, bears no forbidden name, reads no environment but in settings."""

from __future__ import annotations

import ast
import re

from tests.house.tree import SCRIPTS, docstring_of, none, python_files, tree

FORBIDDEN = {"manager", "managers", "helper", "helpers", "util", "utils", "utility", "utilities", "base", "common"}
ALLOWED = {"base_router", "MCPBaseRouter"}
"""Names that the project's card fixes."""

READS_THE_ENVIRONMENT = {
    "mcpkit/settings/sources.py": "the one place",
    "mcpkit/client/transports/stdio.py": "hands a child process the part of the environment that programs need to run",
}

CODE = python_files("mcpkit", "routers", *SCRIPTS)


def test_every_file_opens_with_a_docstring() -> None:
    """What lives here; what must never."""
    bare = [str(path) for path in python_files() if docstring_of(tree(path)) is None]
    none(bare, "open the file with a docstring: what lives here; what must never:")


def words(name: str) -> set[str]:
    """``base_router`` and ``BaseRouter`` are both made of base and router."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)}


def test_names_say_what_a_thing_is() -> None:
    """Never manager, helper, util, base, nor handler for a class: the word is in the glossary, or is missing there."""
    files = [str(path) for path in CODE if words(path.stem) & FORBIDDEN and path.stem not in ALLOWED]
    classes = [
        f"{path}:{node.lineno} class {node.name}"
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and node.name not in ALLOWED
        if words(node.name) & (FORBIDDEN | {"handler"})
    ]
    none(files + classes, "name it after what it is:")


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

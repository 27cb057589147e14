"""The project's files as the rules of the house see them: what is tracked, what is code, what a file's tree says.

What must never stand here: a rule (each has its own test file).
"""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("mcp_server.py", "mcp_client.py")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Every file that is, or is about to be, committed; relative to the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=30,
    ).stdout.decode()
    return tuple(sorted(Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()))


def python_files(*tops: str) -> list[Path]:
    """The Python files below (or equal to) these names; all of the project's without any."""
    return [
        path
        for path in project_files()
        if path.suffix == ".py" and (not tops or path.parts[0] in tops or str(path) in tops)
    ]


@functools.cache
def text(path: Path) -> str:
    """What stands in the file."""
    return (ROOT / path).read_text(encoding="utf-8")


@functools.cache
def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse(text(path), filename=str(path))


def docstring_of(node: ast.Module | ast.ClassDef | Function) -> ast.Expr | None:
    """The statement that is the node's docstring."""
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return first
    return None


@functools.cache
def prose(module: ast.Module) -> frozenset[int]:
    """The ids of all string constants that are statements of their own: docstrings of any kind, never values.

    It is kept for every module of :func:`tree`, since rules ask for it at each of a file's constants.
    """
    return frozenset(id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr))


def functions(module: ast.Module) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(module) if isinstance(node, Function))


def none(faults: list[str], advice: str) -> None:
    """Fail with what to do and each place where, unless there is no fault."""
    __tracebackhide__ = True
    if faults:
        pytest.fail("\n".join([advice, *(f"  {fault}" for fault in faults)]), pytrace=False)

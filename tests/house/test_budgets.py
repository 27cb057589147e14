"""Sizes: a file, a class, a function fit on a screen or a few; most functions are a handful of lines.

A docstring costs nothing: lines of a function are counted without it. The limits describe the wish, never the code:
a limit is not raised here because a file has outgrown it.
"""

from __future__ import annotations

import ast
import statistics

from tests.house.tree import Function, docstring_of, functions, none, python_files, text, tree

FILE, CLASS, FUNCTION, PARAMETERS = 400, 250, 50, 7
MEDIAN, NINE_IN_TEN = 8, 20

CODE = python_files("mcpkit", "routers", "mcp_server.py", "mcp_client.py")


def lines(node: ast.ClassDef | Function) -> int:
    """From ``def`` or ``class`` to the end, decorators and docstring left out."""
    assert node.end_lineno is not None
    docstring = docstring_of(node)
    prose = docstring.end_lineno - docstring.lineno + 1 if docstring and docstring.end_lineno else 0
    return node.end_lineno - node.lineno + 1 - prose


def parameters(function: Function) -> int:
    """As a caller counts them: without self and cls."""
    spec = function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    return len(names) - (names[:1] in (["self"], ["cls"])) + len(spec.kwonlyargs)


def test_files() -> None:
    """A file has one subject."""
    long = [f"{path}: {len(text(path).splitlines())} lines" for path in CODE if len(text(path).splitlines()) > FILE]
    none(long, f"a file has at most {FILE} lines: find its second subject and give it its own file")


def test_classes() -> None:
    """A class has one job."""
    long = [
        f"{path}:{node.lineno} class {node.name}: {lines(node)} lines"
        for path in CODE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and lines(node) > CLASS
    ]
    none(long, f"a class has at most {CLASS} lines: split it by what changes together")


def test_functions() -> None:
    """A function does one step."""
    long = [
        f"{path}:{node.lineno} {node.name}: {lines(node)} lines"
        for path in CODE
        for node in functions(tree(path))
        if lines(node) > FUNCTION
    ]
    none(long, f"a function has at most {FUNCTION} lines: name its steps")


def test_parameters() -> None:
    """What travels together is one value; a registrar's many options are one TypedDict (``**options: Unpack[…]``)."""
    many = [
        f"{path}:{node.lineno} {node.name}: {parameters(node)} parameters"
        for path in CODE
        for node in functions(tree(path))
        if parameters(node) > PARAMETERS
    ]
    none(many, f"a function takes at most {PARAMETERS} parameters: make one value of what belongs together")


def test_most_functions_are_short() -> None:
    """The median and the ninth decile over the whole code."""
    sizes = sorted(lines(node) for path in CODE for node in functions(tree(path)))
    median, decile = statistics.median(sizes), sizes[int(len(sizes) * 0.9)]
    print(f"{len(sizes)} functions: median {median}, nine in ten within {decile} lines")  # noqa: T201 (pytest -s shows it)
    assert median <= MEDIAN, f"half of all functions are longer than {median} lines; the limit is {MEDIAN}"
    assert decile <= NINE_IN_TEN, f"one function in ten is longer than {decile} lines; the limit is {NINE_IN_TEN}"

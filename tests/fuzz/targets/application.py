"""The parsers of the example tools and of skills: text of a caller, never handed to Python.

What must never stand here: files, a database.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from typing import Any

from mcpkit import ToolError
from mcpkit.extensions.skills_frontmatter import FrontmatterError, read_frontmatter
from routers.calculator import MAX_BITS, MAX_CHARACTERS, calculate
from tests.fuzz.targets.target import Target

PLAIN = re.compile(r"[0-9+\-*/%(). ]+")
OPERATORS: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def calculated(data: bytes) -> None:
    """A finite number of bounded size, or an error for the model to read; what Python knows too, it finds too."""
    text = data.decode("utf-8", "replace")
    try:
        value = calculate(text)
    except ToolError as error:
        assert len(str(error)) < 400
        assert "Traceback" not in str(error)
        return
    assert len(text) <= MAX_CHARACTERS
    assert type(value) in (int, float)
    assert math.isfinite(value)
    assert not isinstance(value, int) or value.bit_length() <= MAX_BITS
    if PLAIN.fullmatch(text) and "**" not in text:
        expected = by_python(text)
        assert expected is None or (type(value), value) == (type(expected), expected), "Python finds another number"


def by_python(text: str) -> Any:
    """What Python makes of numbers, signs and parentheses; None where its spelling differs (leading zeros)."""

    def worked(node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](worked(node.left), worked(node.right))
        if isinstance(node, ast.UnaryOp):
            return OPERATORS[type(node.op)](worked(node.operand))
        assert isinstance(node, ast.Constant)
        return node.value

    try:
        return worked(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        return None


def frontmatter(data: bytes) -> None:
    """Fields that are JSON, or a fault by name; small files stay small (no aliases)."""
    text = data.decode("utf-8", "replace")
    try:
        fields = read_frontmatter(text)
    except FrontmatterError as error:
        assert len(str(error)) < 500 + len(text)
        return
    assert json.loads(json.dumps(fields)) == fields
    assert len(json.dumps(fields)) <= 40 * len(text) + 100
    assert isinstance(fields["name"], str)


TARGETS = (
    Target(
        "calculator",
        calculated,
        (
            b"(1 + 2) * 3 // 2 % 5",
            b"2 ** 3 ^ 2",
            "－８．５÷×２".encode(),
            b"sqrt(2) / max(1, 2, pi) - round(2.567, 2)",
            b"9**9**9**9",
            b"((((((((((1))))))))))",
            b"__import__('os')",
            b"1e308*10",
            b"log(0) + 1/0",
            b"1.e5.",
            b"log(" + b"9," * 300 + b"1)",
        ),
        (
            b"sqrt(",
            b"log(",
            b"round(",
            b"max(",
            b"**",
            b"//",
            b"1e308",
            b"ceil(",
            b"9" * 300,
            "×".encode(),
            b"pi",
            b"tan(",
        ),
        1100,
    ),
    Target(
        "frontmatter",
        frontmatter,
        (
            b"---\nname: pdf-forms\ndescription: Fill in forms\n---\n# Text\n",
            b"---\nname: a\ndescription: |\n  long\nn: {a: [1, 0x1F, 0o17, 1.5, .inf, ~, yes, 2001-01-01]}\n---\n",
            b"---\nname: a\ndescription: b\nx: !!int [1]\n---\n",
            b"---\nname: a\ndescription: b\nx: !!bool perhaps\ny: !!map [1]\n---\n",
            b"---\na: &x [1]\nb: *x\n---\n",
            b"---\nname: !!python/object/apply:os.system [x]\n---\n",
        ),
        (b"---\n", b"name: ", b"description: ", b"!!", b"&a", b"*a", b"<<: ", b"? ", b"- ", b"0x", b".inf", b"!!int "),
        600,
    ),
)

"""Sizes: a file holds one whole concept within 600 lines. Complexity is ruff's affair (at most 10)."""

from __future__ import annotations

from tests.house.tree import none, python_files, text

FILE = 600

CODE = python_files("mcpkit", "routers", "mcp_server.py", "mcp_client.py")


def test_files() -> None:
    """A file that has outgrown the limit has a second concept: it gets a file of its own."""
    long = [f"{path}: {len(text(path).splitlines())} lines" for path in CODE if len(text(path).splitlines()) > FILE]
    none(long, f"a file has at most {FILE} lines: find its second concept and give it its own file")

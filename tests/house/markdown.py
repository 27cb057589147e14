"""The little of Markdown that the rules need: headings and fenced code blocks with their marks.

A fence's info string is a language and, for shell and Python, a mark that says what the tests do with the block:
``run`` (it must end well), ``serve`` (it is started and left running) or ``show: why`` (it is only looked at).
What must never stand here: how a block is run (tests/test_readmes.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile

EXECUTABLE = {"bash", "sh", "console", "python"}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced code block."""

    line: int
    language: str
    mark: str
    code: str


def outline(source: str) -> list[int]:
    """The levels of all headings, in order; a line within a code block is none."""
    without_code = re.sub(r"^```.*?^```", "", source, flags=re.MULTILINE | re.DOTALL)
    return [len(hashes) for hashes in re.findall(r"^(#{1,6}) ", without_code, flags=re.MULTILINE)]


def blocks(source: str) -> list[Block]:
    """All fenced code blocks, in order."""
    found, numbered = [], iter(enumerate(source.splitlines(), 1))
    for number, line in numbered:
        if line.startswith("```"):
            language, _, mark = line.removeprefix("```").strip().partition(" ")
            code = [inner for _, inner in takewhile(lambda row: row[1] != "```", numbered)]
            found.append(Block(number, language, mark.strip(), "\n".join(code) + "\n"))
    return found

"""README.md and README.zh-CN.md say the same: same outline, same code, a switch between them on the first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.markdown import EXECUTABLE, blocks, outline
from tests.house.tree import ROOT

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"


def source(name: str) -> str:
    """The file's text; a missing one fails here, by name."""
    path: Path = ROOT / name
    assert path.is_file(), f"{name} is missing: both READMEs are written in step"
    return path.read_text(encoding="utf-8")


def test_same_outline() -> None:
    """Heading for heading, level for level."""
    english, chinese = outline(source(ENGLISH)), outline(source(CHINESE))
    assert english == chinese, f"headings differ: {ENGLISH} {english}, {CHINESE} {chinese}"


def test_same_code() -> None:
    """Block for block, character for character: code is not translated."""
    pairs = zip(blocks(source(ENGLISH)), blocks(source(CHINESE)), strict=False)
    for one, other in pairs:
        assert (one.language, one.mark, one.code) == (other.language, other.mark, other.code), (
            f"{ENGLISH}:{one.line} and {CHINESE}:{other.line} differ"
        )
    assert len(blocks(source(ENGLISH))) == len(blocks(source(CHINESE)))


@pytest.mark.parametrize(("name", "other"), [(ENGLISH, CHINESE), (CHINESE, ENGLISH)])
def test_language_switch(name: str, other: str) -> None:
    """Whoever lands on the wrong one is one click away."""
    first = source(name).splitlines()[0]
    assert f"]({other})" in first or f'href="{other}"' in first, f"line 1 of {name} must link to {other}"


def test_every_block_is_marked() -> None:
    """Shell and Python blocks say what the tests do with them; every block has a language."""
    for block in blocks(source(ENGLISH)):
        where = f"{ENGLISH}:{block.line}"
        assert block.language, f"{where}: give the block a language (text, if nothing else)"
        if block.language in EXECUTABLE:
            marked = block.mark in ("run", "serve") or block.mark.startswith("show: ")
            assert marked, f"{where}: mark the block: ```{block.language} run, serve, or `show: why it can't be run`"

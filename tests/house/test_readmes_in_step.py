"""README.md and README.zh-CN.md say the same: same outline, same code, a switch between them on the first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.markdown import EXECUTABLE, blocks, outline
from tests.house.tree import ROOT, none, project_files, text

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
    """On every page: shell and Python blocks say what the tests do with them; every block has a language."""
    faults = []
    for page in (path for path in project_files() if path.suffix == ".md" and path.parts[0] != "tests"):
        for block in blocks(text(page)):
            marked = block.mark in ("run", "serve") or block.mark.startswith("show: ")
            if not block.language:
                faults.append(f"{page}:{block.line}: give the block a language (text, if nothing else)")
            elif block.language in EXECUTABLE and not marked:
                faults.append(f"{page}:{block.line}: ```{block.language} run, or serve, or `show: why it can't be run`")
    none(faults, "mark the code blocks:")

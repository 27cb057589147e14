"""Text of strangers on a terminal."""

from __future__ import annotations

import pytest

from mcpkit.client.display import clean


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("safe\u202etxt.exe", "safetxt.exe"),
        ("\u2066hidden\u2069", "hidden"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("a\x00b\x07c", "abc"),
        ("two\nlines\tand  blanks", "two lines and blanks"),
        ("\u2028split\u2029", "split"),
        ("天气 ☀️", "天气 ☀️"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\ud800", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_nothing_unseen_remains(text: object, shown: str) -> None:
    """TSEC-03: no control character, escape sequence or direction mark of a server reaches a terminal."""
    assert clean(text) == shown


def test_lines_are_kept_where_wanted() -> None:
    """A description may have paragraphs, a name may not."""
    assert clean("one\n\ttwo\r\x1b", lines=True) == "one\n\ttwo "
    assert clean("one\ntwo") == "one two"


def test_length_is_bounded() -> None:
    """A name of a megabyte is cut, and says so."""
    assert clean("x" * 1_000_000, 10) == "xxxxxxxxx…"
    assert len(clean("\x00" * 1_000_000 + "x", 10)) <= 10

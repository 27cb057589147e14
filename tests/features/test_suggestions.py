"""Near names for misspelt ones."""

from __future__ import annotations

import pytest

from mcpkit.features.suggestions import clipped, did_you_mean, nearest, unknown

NAMES = ["add", "subtract", "Weather"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("ad", "add"), ("substract", "subtract"), ("weather", "Weather"), ("zebra", None), ("a" * 65, None)],
)
def test_the_nearest_name(typed: str, meant: str | None) -> None:
    assert nearest(typed, NAMES) == meant


def test_the_hint_fits_behind_a_sentence() -> None:
    assert did_you_mean("ad", NAMES) == "; did you mean 'add'?"
    assert did_you_mean("zebra", NAMES) == ""


def test_an_unknown_name_is_told_a_near_one_else_the_few_there_are_else_where_to_look() -> None:
    assert unknown("tool", "ad", NAMES, "tools/list") == "Unknown tool 'ad'; did you mean 'add'?"
    assert unknown("tool", "zebra", NAMES, "tools/list") == "Unknown tool 'zebra'; there are Weather, add, subtract"
    many = [f"tool_{n}" for n in range(20)]
    assert unknown("tool", "zebra", many, "tools/list") == "Unknown tool 'zebra'; tools/list names what there is"
    assert "tools/list" in unknown("tool", "zebra", [], "tools/list")


def test_a_caller_can_not_have_a_long_text_said_back() -> None:
    assert len(unknown("tool", "x" * 10_000, NAMES, "tools/list")) < 160
    assert clipped("x" * 10, 5) == "xxxx…"

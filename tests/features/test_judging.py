"""Arguments that are not plainly right: judged, mended, converted."""

from __future__ import annotations

import pytest

from mcpkit.features.arguments import JsonArguments
from mcpkit.features.errors import BadArguments, RegistrationError
from mcpkit.features.judging import Judge
from mcpkit.features.signature import read_signature


def count(tags: list[str], times: int = 1) -> int:
    return len(tags) * times


def test_a_judge_converts_and_fills_in_what_was_left_out() -> None:
    judge = Judge(read_signature(count))
    assert judge.bind({"tags": ["a"]}) == {"tags": ["a"], "times": 1}
    assert judge.document["required"] == ["tags"]


def test_what_fits_no_schema_is_told() -> None:
    with pytest.raises(BadArguments, match="times: expected an integer"):
        Judge(read_signature(count)).bind({"tags": [], "times": "many"})


def test_a_schema_of_the_author_must_let_in_what_is_needed() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    with pytest.raises(RegistrationError, match="'tags' has no property"):
        Judge(read_signature(count), closed)


def test_plain_types_are_judged_when_something_odd_comes_first() -> None:
    """The judge is made late, and says the same as one that was made at once."""

    def add(a: int, b: int = 1) -> int:
        return a + b

    arguments = JsonArguments(read_signature(add))
    assert arguments._judge is None
    assert arguments.bind({"a": 1}) == {"a": 1}
    assert arguments._judge is None
    assert arguments.bind({"a": 1.0, "b": 2}) == {"a": 1, "b": 2}
    with pytest.raises(BadArguments, match="a: is required but missing"):
        arguments.bind({})
    with pytest.raises(BadArguments, match="c: is unknown"):
        arguments.bind({"a": 1, "c": 2})
    assert arguments._judge is not None
    assert arguments._judge.document == arguments.document

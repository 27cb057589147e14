"""Schemas of strangers."""

from __future__ import annotations

import pytest

from mcpkit.client import schemas
from mcpkit.client.schemas import UnusableSchema, problems, validator


def test_problems_in_words() -> None:
    """ELIC-14, TOUT-02: what is wrong, and where; a few of many."""
    schema = {"type": "object", "required": ["a"], "properties": {"b": {"type": "integer"}}}
    assert problems(schema, {"a": 1}) == []
    assert problems(schema, {"b": "x"}) == ['"a" is a required property', 'b: "x" is not of type "integer"']
    assert len(problems({"items": {"type": "string"}}, list(range(100)))) == 5


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/canary"},
        {"$ref": "file:///etc/passwd"},
        {"$dynamicRef": "http://127.0.0.1:9/canary"},
        {"$schema": "http://127.0.0.1:9/dialect", "type": "object"},
        {"type": "no such type"},
        {"pattern": "(?=x)"},
        {"description": "x" * 600_000},
    ],
)
def test_unusable_schemas(schema: dict[str, object]) -> None:
    """JSCH-04, JSCH-06, JSCH-07, STEST-06: nothing is fetched, nothing passes because it can't be checked."""
    with pytest.raises(UnusableSchema):
        problems(schema, "x")


def test_no_pattern_takes_for_ever() -> None:
    """JSCH-07: linear, so that this ends at all."""
    assert problems({"pattern": "^(a+)+$"}, "a" * 50_000 + "!")


def test_schemas_are_compiled_once_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with a thousand schemas is no leak."""
    monkeypatch.setattr(schemas, "_KEPT", 2)
    schemas._compiled.clear()
    first = validator({"const": 1})
    assert validator({"const": 1}) is first
    validator({"const": 2})
    validator({"const": 3})
    assert len(schemas._compiled) == 2
    assert validator({"const": 1}) is not first

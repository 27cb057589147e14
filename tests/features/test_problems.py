"""The wording of what is wrong with a value."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator

from mcpkit.features.problems import Problem, from_pydantic, path_of, shown
from mcpkit.features.schema import Schema

ITEM = {"type": "object", "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}}, "required": ["sku"]}


def told(schema: dict[str, Any], value: Any) -> list[str]:
    return [str(problem) for problem in Schema(schema).problems(value)]


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        ({"type": "integer"}, "5", 'expected an integer, got "5"'),
        ({"type": ["integer", "null"]}, {"a": 1}, "expected an integer or null, got an object"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "x", 'expected an integer or null, got "x"'),
        ({"enum": ["red", "blue"]}, "green", 'expected one of "red", "blue", got "green"'),
        ({"const": 3}, 4, "expected 3, got 4"),
        ({"minimum": 3}, 1, "must be at least 3, got 1"),
        ({"maximum": 3}, 4, "must be at most 3, got 4"),
        ({"exclusiveMinimum": 3}, 3, "must be greater than 3, got 3"),
        ({"exclusiveMaximum": 3}, 3, "must be less than 3, got 3"),
        ({"multipleOf": 2}, 3, "must be a multiple of 2, got 3"),
        ({"minLength": 3}, "a", 'must have at least 3 characters, got "a"'),
        ({"maxLength": 1}, "ab", 'must have at most 1 characters, got "ab"'),
        ({"pattern": "^a+$"}, "b", 'must match the pattern ^a+$, got "b"'),
        ({"minItems": 1}, [], "must have at least 1 items"),
        ({"maxItems": 1}, [1, 2], "must have at most 1 items"),
        ({"minProperties": 1}, {}, "must have at least 1 members"),
        ({"maxProperties": 0}, {"a": 1}, "must have at most 0 members"),
        ({"uniqueItems": True}, [1, 1], "must not contain the same item twice"),
        ({"contains": {"type": "string"}}, [1], "lacks an item that must be there"),
        ({"properties": {"a": False}}, {"a": 1}, "a: is not allowed here"),
        ({"not": {"type": "string"}}, "s", '"s" is not allowed here'),
        (
            {"oneOf": [{"type": "string"}, {"minLength": 0}]},
            "s",
            '"s" fits more than one of the allowed forms, it must fit one',
        ),
        ({"propertyNames": {"maxLength": 2}}, {"abc": 1}, 'the name "abc" is not allowed here'),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "b: is required but missing"),
        ({"anyOf": [ITEM, {"type": "null"}]}, {"sku": 5}, "sku: expected a string, got 5"),
        ({"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 3, "expected one of the allowed forms, got 3"),
    ],
)
def test_the_words_of_each_keyword(schema: dict[str, Any], value: Any, text: str) -> None:
    assert told(schema, value) == [text]


def test_a_misspelt_member_is_recognised_from_both_sides() -> None:
    closed = {**ITEM, "additionalProperties": False}
    assert sorted(told(closed, {"skuu": "x"})) == [
        "sku: is required but missing; is 'skuu' meant to be it?",
        "skuu: is unknown; did you mean 'sku'?",
    ]


def test_an_unknown_member_is_told_the_known_ones_in_a_referenced_schema_too() -> None:
    schema = {
        "$defs": {"Item": {**ITEM, "additionalProperties": False}},
        "properties": {"item": {"$ref": "#/$defs/Item"}},
    }
    assert told(schema, {"item": {"sku": "x", "zebra": 1}}) == ["item.zebra: is unknown; known are sku, count"]


def test_every_bad_path_is_listed_once() -> None:
    schema = {"properties": {"items": {"type": "array", "items": ITEM}}}
    assert told(schema, {"items": [{"sku": 1}, {"sku": "x"}, {}]}) == [
        "items[0].sku: expected a string, got 1",
        "items[2].sku: is required but missing",
    ]


def test_big_values_are_not_said_back() -> None:
    [text] = told({"type": "integer"}, "x" * 100_000)
    assert len(text) < 100
    assert shown({"secret": "s"}) == "an object"
    assert shown([1, 2]) == "an array"
    assert path_of(["a" * 200, 3, "b"]).endswith("…[3].b")


def test_pydantic_speaks_the_same_way() -> None:
    class Order(BaseModel):
        count: int
        kind: Literal["a"]

        @field_validator("count")
        @classmethod
        def small(cls, value: int) -> int:
            if value > 3:
                raise ValueError("at most three a day")
            return value

    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Order]).validate_python([{"count": 9, "kind": "b"}, {"kind": "a"}])
    assert [str(problem) for problem in from_pydantic(caught.value)] == [
        "[0].count: at most three a day",
        "[0].kind: expected 'a'",
        "[1].count: is required but missing",
    ]


def test_pydantic_is_never_quoted_with_its_address() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("x" * 500)
    [problem] = from_pydantic(caught.value)
    assert "http" not in str(problem)
    assert "xxx" not in str(problem)


def test_a_problem_without_a_place_is_only_its_message() -> None:
    assert str(Problem("", "is wrong")) == "is wrong"
    assert str(Problem("a[0]", "is wrong")) == "a[0]: is wrong"

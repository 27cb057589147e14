"""Schemas of strangers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from mcpkit.client import schemas
from mcpkit.client.schemas import UncheckableSchema, UnusableSchema, problems, validator


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


def doubling(levels: int, keyword: str = "anyOf") -> dict[str, Any]:
    """A schema of a few bytes a level that asks for twice the work with each."""
    named: dict[str, Any] = {f"a{level}": {keyword: [{"$ref": f"#/$defs/a{level + 1}"}] * 2} for level in range(levels)}
    return {"$defs": {**named, f"a{levels}": {"type": "string"}}, "$ref": "#/$defs/a0"}


TWICE_BELOW: dict[str, Any] = {
    "anyOf": [
        {"properties": {"c": {"$ref": "#"}}, "required": ["x"]},
        {"properties": {"c": {"$ref": "#"}}, "required": ["y"]},
    ]
}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"c": value}
    return value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        *[(doubling(60, keyword), 5) for keyword in ("anyOf", "oneOf", "allOf")],
        (doubling(500), 5),
        (TWICE_BELOW, nested(60)),
        ({"$id": "http://x.example/a", **TWICE_BELOW}, nested(60)),
        (
            {
                "$dynamicAnchor": "n",
                "anyOf": [{"properties": {"c": {"$dynamicRef": "#n"}}, "required": [name]} for name in ("x", "y")],
            },
            nested(60),
        ),
        ({"not": {"not": doubling(60)["$defs"]["a59"]}, **doubling(60)}, 5),
        ({"items": {"anyOf": [{"const": n} for n in range(9_000)]}}, ["x"] * 50_000),
        ({"items": {"enum": [{"a": n} for n in range(20_000)]}}, [{"a": -1}] * 20_000),
        ({"allOf": [{"pattern": f"a{n}"} for n in range(1_000)]}, "x"),
        ({"pattern": "((a{100}){100}){100}"}, "x"),
        ({"pattern": "(?=x)"}, "x"),
    ],
)
def test_work_without_measure_is_not_begun(schema: dict[str, Any], value: Any) -> None:
    """A kilobyte that asks for 2^60 steps: this test would never end, since the checker can't be stopped."""
    with pytest.raises(UncheckableSchema):
        problems(schema, value)


def branching(reference: str, name: str = "$defs", **more: Any) -> dict[str, Any]:
    """40 schemas, each of which applies the next twice; ``reference`` has a place for the number."""

    def at(number: int) -> dict[str, str]:
        return {"$ref": reference.format(number)}

    levels = {
        f"l{n}": {
            "anyOf": [{"allOf": [at(n + 1), {"not": {}}]}, at(n + 1)],
            **{k: v.format(n) for k, v in more.items()},
        }
        for n in range(40)
    }
    last = {"not": {}, **{key: value.format(40) for key, value in more.items()}}
    return {name: {**levels, "l40": last}, "allOf": [at(0)]}


def collecting(keyword: str, beside: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"a": True}}
    for _ in range(40):
        schema = {beside: [schema], keyword: False}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        branching("#/$defs/%6c{}"),
        branching("#/%24defs/l{}"),
        branching("#l{}", **{"$anchor": "l{}"}) | {"default": [{"$anchor": f"l{n}"} for n in range(41)]},
        branching("http://x/l{}", **{"$id": "http://x/l{}"}),
        {"$id": "http://x/", **branching("l{}", **{"$id": "l{}"})},
        {"$id": "http://x/a", **branching("http://x/a#/$defs/l{}")},
        {"$id": "http://x/a", **branching("a#/$defs/l{}")},
        {"$defs": {"w": {"$id": "http://x/y", **branching("#/$defs/l{}")}}, "$ref": "#/$defs/w"},
        {"$schema": "http://json-schema.org/draft-07/schema#", **branching("#l{}", **{"$id": "#l{}"})},
        {"$schema": "http://json-schema.org/draft-04/schema#", **branching("#l{}", "definitions", id="#l{}")},
        branching("json-schema:///#/$defs/l{}"),
        *[collecting("unevaluatedProperties", beside) for beside in ("allOf", "anyOf", "oneOf")],
        {"$ref": "#/$defs/+0", "$defs": [{}]},
        {"$ref": "#/$defs/²", "$defs": [{}]},
    ],
)
def test_work_is_not_hidden_by_how_schemas_are_named_or_asked_again(schema: dict[str, Any]) -> None:
    with suppress(UnusableSchema):
        assert problems(schema, {"a": 1})  # where a reference is read as the checker reads it, there is little work


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/a%20b", "$defs": {"a b": {"type": "string"}}},
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}},
        {"$ref": "#t", "$defs": {"t": {"$anchor": "t", "type": "string"}}},
        {"$id": "http://x/a", "$ref": "#/$defs/t", "$defs": {"t": {"type": "string"}}},
        {"properties": {"id": {"type": "string"}}, "$ref": "#/$defs/t", "$defs": {"t": {"type": "string"}}},
        {"allOf": [{"type": "string"}], "unevaluatedProperties": False},
    ],
)
def test_usual_references_are_checked(schema: dict[str, Any]) -> None:
    assert problems(schema, "x") == []
    assert problems(schema, 1) == ['1 is not of type "string"']


def test_what_refers_to_itself_is_checked_where_that_is_affordable() -> None:
    """A tree is described by itself; so is what is a little nested by a schema that doubles."""
    tree = {"required": ["v"], "properties": {"kids": {"items": {"$ref": "#"}}}}
    kids = [{"v": 1, "kids": [{"v": 2}] * 30} for _ in range(30)]
    assert problems(tree, {"v": 1, "kids": kids}) == []
    assert problems(tree, {"v": 1, "kids": [*kids, {"kids": []}]}) == ['kids/30: "v" is a required property']
    assert problems(TWICE_BELOW, nested(3)) != []
    assert problems(doubling(16), 5) == ["it does not fit the schema"]
    assert problems(doubling(16), "x") == []


def test_the_first_of_very_many_faults_is_told() -> None:
    """A large result with one wrong entry is not only called wrong."""
    listed = {"items": {"type": "integer"}}
    assert problems(listed, [*range(100_000), "x", None]) == ['100000: "x" is not of type "integer"']
    assert problems(listed, list(range(100_000))) == []

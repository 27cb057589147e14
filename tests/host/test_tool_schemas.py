"""Any schema that a server may write becomes one that every endpoint takes, and means the same as far as it can."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.host.tool_schemas import DEEPEST, parameters_of

TAKEN = {
    "type",
    "description",
    "properties",
    "required",
    "items",
    "enum",
    "anyOf",
    "format",
    "default",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
}


def refusals(schema: Any, depth: int = 0) -> list[str]:
    """What the endpoints, all taken together, would refuse."""
    if not isinstance(schema, dict):
        return ["no object"]
    found = [f"unknown {name}" for name in schema.keys() - TAKEN]
    if depth == 0 and (schema.get("type") != "object" or "anyOf" in schema or "enum" in schema):
        found.append("the top is no plain object")
    if "anyOf" in schema:
        found += ["members beside anyOf"] if schema.keys() - {"anyOf", "description"} else []
        return found + [fault for one in schema["anyOf"] for fault in refusals(one, depth + 1)]
    if schema.get("type") not in {"string", "number", "integer", "boolean", "object", "array"}:
        found.append(f"type {schema.get('type')!r}")
    if schema.get("type") == "array":
        found += refusals(schema.get("items"), depth + 1)
    if schema.get("type") == "object":
        if not isinstance(schema.get("properties"), dict):
            return [*found, "no properties"]
        found += [fault for one in schema["properties"].values() for fault in refusals(one, depth + 1)]
        found += ["required"] if not {*schema.get("required", [])} <= schema["properties"].keys() else []
    if "enum" in schema and not (schema["enum"] and all(isinstance(one, str) and one for one in schema["enum"])):
        found.append("enum")
    return found


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


ANY = parameters_of(of(x={}))["properties"]["x"]
NODE = {"$defs": {"N": of(v={"type": "integer"}, next={"$ref": "#/$defs/N"})}, "$ref": "#/$defs/N"}

TOPS: dict[str, tuple[Any, dict[str, Any]]] = {
    "nothing": ({}, of()),
    "null": (None, of()),
    "true": (True, of()),
    "no properties": ({"type": "object"}, of()),
    "null properties, null required": ({"type": "object", "properties": None, "required": None}, of()),
    "no type": ({"properties": {"a": {"type": "string"}}}, of(a={"type": "string"})),
    "types": ({"type": ["object", "null"], "properties": {}}, of()),
    "what is no object": ({"type": "array", "items": {}}, of()),
    "a dialect": ({"$schema": "x", "$id": "y", "title": "T", "additionalProperties": False, **of()}, of()),
    "required names that are none": (
        {**of(a={"type": "string"}), "required": ["a", "b", 5]},
        {**of(a={"type": "string"}), "required": ["a"]},
    ),
    "required where the property says so": (
        of(a={"type": "string", "required": True}),
        {**of(a={"type": "string"}), "required": ["a"]},
    ),
    "anyOf": (
        {
            "type": "object",
            "anyOf": [{**of(a={"type": "string"}), "required": ["a"]}, {**of(b={"type": "string"}), "required": ["b"]}],
        },
        {**of(a={"type": "string"}, b={"type": "string"}), "description": "Give one of these sets: a; b"},
    ),
    "oneOf of required names": (
        {
            **of(a={"type": "string"}, b={"type": "string"}),
            "required": ["a"],
            "oneOf": [{"required": ["a"]}, {"required": ["a", "b"]}],
        },
        {
            **of(a={"type": "string"}, b={"type": "string"}),
            "required": ["a"],
            "description": "Give one of these sets: a; a, b",
        },
    ),
    "allOf": (
        {"allOf": [{**of(a={"type": "string"}), "required": ["a"]}, {**of(b={"type": "integer"}), "required": ["b"]}]},
        {**of(a={"type": "string"}, b={"type": "integer"}), "required": ["a", "b"]},
    ),
    "$ref": ({"$ref": "#/definitions/A", "definitions": {"A": of(a={"type": "string"})}}, of(a={"type": "string"})),
    "$ref that contains itself": (NODE, of(v={"type": "integer"}, next=ANY)),
    "$ref to itself": ({"$ref": "#"}, of()),
}

VALUES: dict[str, tuple[Any, dict[str, Any]]] = {
    "true": (True, ANY),
    "null": (None, ANY),
    "a type unknown": ({"type": "any"}, ANY),
    "a type by another name": ({"type": "Int"}, {"type": "integer"}),
    "an array without items": ({"type": "array"}, {"type": "array", "items": ANY}),
    "an array of anything": ({"type": "array", "items": True}, {"type": "array", "items": ANY}),
    "a tuple": (
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
    ),
    "a tuple of old": (
        {"type": "array", "items": [{"type": "string"}]},
        {"type": "array", "items": {"type": "string"}},
    ),
    "an object without properties": ({"type": "object"}, of()),
    "may be null": (
        {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": "D"},
        {"type": "string", "description": "D"},
    ),
    "types": ({"type": ["string", "null"]}, {"type": "string"}),
    "several types": (
        {"type": ["string", "array"], "description": "D"},
        {"anyOf": [{"type": "string"}, {"type": "array", "items": ANY}], "description": "D"},
    ),
    "a constant": ({"const": "a"}, {"type": "string", "enum": ["a"]}),
    "constants": ({"oneOf": [{"const": "a"}, {"const": "b"}]}, {"type": "string", "enum": ["a", "b"]}),
    "a constant that is no text": ({"const": 5}, {"type": "integer", "description": "(one of 5)"}),
    "numbers to choose from": (
        {"type": "integer", "enum": [1, 2], "description": "D"},
        {"type": "integer", "description": "D (one of 1, 2)"},
    ),
    "an empty text to choose": ({"enum": ["", "a"]}, {"type": "string", "description": '(one of "", "a")'}),
    "a format": ({"type": "string", "format": "uri"}, {"type": "string", "description": "(format: uri)"}),
    "a date": ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    "bounds": (
        {"type": "integer", "minimum": 1, "exclusiveMaximum": 9},
        {"type": "integer", "minimum": 1, "description": "(exclusiveMaximum: 9)"},
    ),
    "bounds that are none": ({"type": "integer", "minimum": "1", "maximum": None}, {"type": "integer"}),
    "a pattern": ({"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^a+$"}),
    "a pattern that looks ahead": (
        {"type": "string", "pattern": "^(?=a)"},
        {"type": "string", "description": "(pattern: ^(?=a))"},
    ),
    "a map": (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {**of(), "description": "(further names are allowed, each with a value of type integer)"},
    ),
    "a reference elsewhere": ({"$ref": "https://example.com/s.json", "description": "D"}, {**ANY, "description": "D"}),
    "a title": ({"type": "string", "title": "Name"}, {"type": "string", "description": "Name"}),
    "hidden characters": (
        {"type": "string", "description": "a\u202eb\x1b[2J"},
        {"type": "string", "description": "ab[2J"},
    ),
    "bounds that no value has": ({"type": "string", "minLength": -1, "maxLength": 1.5}, {"type": "string"}),
    "bounds beyond every number": ({"type": "number", "minimum": 1e400, "maximum": 10**30}, {"type": "number"}),
    "bounds that contradict": ({"type": "integer", "minimum": 5, "maximum": 1}, {"type": "integer"}),
    "what it is not": (
        {"type": "string", "not": {"const": "x"}},
        {"type": "string", "description": '(not: {"const": "x"})'},
    ),
    "a default that is no choice": ({"enum": ["a"], "default": "b"}, {"type": "string", "enum": ["a"]}),
    "very many choices": (
        {"enum": [str(number) for number in range(1_000)]},
        {
            "type": "string",
            "description": f"(one of {json.dumps([*map(str, range(100))])[1:-1]} and 900 more"[:500] + "…)",
        },
    ),
    "a condition": (
        {**of(a={"type": "string"}), "if": of(a={"const": "x"}), "then": of(b={"type": "integer"}), "else": {}},
        {
            **of(b={"type": "integer"}, a={"type": "string"}),
            "description": f"(if: {json.dumps(of(a={'const': 'x'}))}) (then: {json.dumps(of(b={'type': 'integer'}))})",
        },
    ),
    "a schema that depends": (
        {**of(a={"type": "string"}), "dependentSchemas": {"a": of(b={"type": "integer"})}},
        of(b={"type": "integer"}, a={"type": "string"}),
    ),
    "an empty name": ({**of(**{"": {"type": "string"}}), "required": [""]}, of()),
    "objects to choose from": (
        {"oneOf": [of(a={"const": "x"}), of(b={"type": "integer"})], "discriminator": {"propertyName": "a"}},
        {"anyOf": [of(a={"type": "string", "enum": ["x"]}), of(b={"type": "integer"})]},
    ),
}


@pytest.mark.parametrize("name", TOPS)
def test_the_top_is_a_plain_object(name: str) -> None:
    schema, taken = TOPS[name]
    assert refusals(parameters_of(schema)) == []
    assert parameters_of(schema) == taken


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_one_that_endpoints_take(name: str) -> None:
    schema, taken = VALUES[name]
    made = parameters_of(of(x=schema))
    assert refusals(made) == []
    assert made["properties"]["x"] == taken


def test_a_property_that_nothing_fits_is_left_out() -> None:
    assert parameters_of({**of(x=False, y={"type": "string"}), "required": ["x"]}) == of(y={"type": "string"})


@pytest.mark.parametrize(
    ("definition", "reference"),
    [
        ({}, "#/$defs/A%20b"),
        ({"$anchor": "a"}, "#a"),
        ({"$dynamicAnchor": "a"}, "#a"),
        ({"$id": "https://example.com/a"}, "https://example.com/a"),
        ({}, "https://example.com/s#/$defs/A%20b"),
    ],
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_definition_is_found_by_every_name_that_it_has(
    keyword: str, definition: dict[str, Any], reference: str
) -> None:
    schema = {
        "$id": "https://example.com/s",
        "$defs": {"A b": {**definition, "type": "integer"}},
        **of(x={keyword: reference}),
    }
    assert parameters_of(schema) == of(x={"type": "integer"})


def test_a_small_schema_that_is_endless_is_bounded() -> None:
    """Each definition refers twice to the next one: 30 of them would be a thousand million."""
    defs = {f"D{n}": of(a={"$ref": f"#/$defs/D{n + 1}"}, b={"$ref": f"#/$defs/D{n + 1}"}) for n in range(30)}
    made = parameters_of({"$defs": defs, "$ref": "#/$defs/D0"})
    assert refusals(made) == []
    assert len(json.dumps(made)) < 400_000
    each = {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(40)}
    assert refusals(parameters_of({"$defs": each, "$ref": "#/$defs/D0"})) == []
    every = {f"D{n}": {"allOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(40)}
    assert refusals(parameters_of({"$defs": every, **of(x={"$ref": "#/$defs/D0"})})) == []


def test_nesting_has_an_end() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(DEEPEST * 3):
        schema = of(x=schema)
    made = parameters_of(schema)
    assert refusals(made) == []
    assert json.dumps(made).count("properties") <= DEEPEST + 1


KEYWORDS = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "$defs",
    "not",
    "if",
    "prefixItems",
    "additionalProperties",
    "description",
    "title",
    "format",
    "pattern",
    "minimum",
    "exclusiveMinimum",
    "default",
    "minLength",
    "uniqueItems",
    "a",
    "b",
]
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["string", "object", "array", "null", "integer", "#", "#/$defs/a", "a", "", "(?<=a)", "("])
)
SCHEMAS = st.recursive(
    PLAIN,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), x, max_size=5),
    max_leaves=25,
)


@given(SCHEMAS)
def test_whatever_a_server_writes_is_taken(schema: Any) -> None:
    made = parameters_of(schema)
    assert refusals(made) == []
    assert re.fullmatch(r".*", json.dumps(made))

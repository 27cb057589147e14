"""JSON Schema, compiled, and from types."""

from __future__ import annotations

import datetime as dt
import enum
import socket
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from mcpkit.features.schema import DEEPEST, MOST_NODES, Schema, SchemaError, resolved, schema_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    tags: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Node(BaseModel):
    """A tree."""

    value: int
    children: list[Node] = []


def of(kind: Any) -> dict[str, Any]:
    return schema_of(TypeAdapter(kind), "validation")


# ── compiled ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_2020_12_is_the_dialect_when_none_is_named() -> None:
    """JSCH-01: keywords that draft 7 does not know are obeyed."""
    schema = Schema({"type": "array", "prefixItems": [{"type": "string"}], "items": False})
    assert schema.valid(["a"])
    assert not schema.valid(["a", "b"])
    closed = Schema({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False})
    assert not closed.valid({"b": 1})


def test_a_named_dialect_is_obeyed() -> None:
    """JSCH-08, JSCH-02: draft 7's array form of items."""
    schema = Schema({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]})
    assert not schema.valid([1])


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"type": "objekt"}, "type"),
        ({"$schema": "https://example.org/own"}, "meta-schema"),
        ({"$ref": "#/$defs/nowhere"}, "nowhere"),
        ({"properties": {"a": {"pattern": "["}}}, "properties.a.pattern"),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"minimum": "3"}, "minimum"),
    ],
)
def test_a_bad_schema_says_where_and_what(document: dict[str, Any], fault: str) -> None:
    """JSCH-02, JSCH-06: refused when it is compiled, in one line."""
    with pytest.raises(SchemaError) as caught:
        Schema(document)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema"])
def test_no_reference_is_followed_to_another_place(keyword: str) -> None:
    """JSCH-04: not even a connection is tried."""
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        with pytest.raises(SchemaError):
            Schema({keyword: f"http://127.0.0.1:{canary.getsockname()[1]}/schema.json"})
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_a_reference_to_a_file_is_not_followed_either() -> None:
    """JSCH-06."""
    with pytest.raises(SchemaError, match=r"put the schema under \$defs"):
        Schema({"$ref": "file:///etc/hostname"})


def test_schemas_are_bounded() -> None:
    """JSCH-07."""
    deep: dict[str, Any] = {}
    for _ in range(DEEPEST):
        deep = {"items": deep}
    with pytest.raises(SchemaError, match="deep"):
        Schema(deep)
    with pytest.raises(SchemaError, match="parts"):
        Schema({"anyOf": [{"const": n} for n in range(MOST_NODES)]})


def test_patterns_take_linear_time() -> None:
    """JSCH-07: the classic that a backtracking engine takes 2^n steps for."""
    assert not Schema({"pattern": "^(a+)+$"}).valid("a" * 5_000 + "!")


def test_formats_are_only_annotations() -> None:
    """JSCH-10."""
    assert Schema({"format": "date-time"}).valid("yesterday")


def test_what_json_can_not_carry_does_not_fit_and_does_not_raise() -> None:
    """TSEC-05."""
    text = Schema({"type": "string", "minLength": 1})
    assert not text.valid("\ud800")
    assert "surrogate" in str(text.problems("\ud800")[0])
    number = Schema({"type": "number"})
    assert not number.valid(float("nan"))
    assert not number.valid(float("inf"))
    assert not number.valid(object())
    assert number.valid(10**40)


def test_the_document_stays_as_it_was_given() -> None:
    """SHAPE-06, JSCH-09: nothing added, nothing lost, order kept; later changes by the author change nothing."""
    document = {"type": "object", "$anchor": "x", "x-own": [1], "properties": {"b": {}, "a": True}}
    before = repr(document)
    schema = Schema(document)
    document["type"] = "string"
    assert repr(schema.document) == before


def test_a_fitting_value_has_no_problems() -> None:
    assert Schema({"type": "integer"}).problems(3) == []


# ── from types ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int, {"type": "integer"}),
        (str, {"type": "string"}),
        (list, {"items": {}, "type": "array"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (dict[str, int], {"additionalProperties": {"type": "integer"}, "type": "object"}),
        (set[int], {"items": {"type": "integer"}, "type": "array", "uniqueItems": True}),
        (dt.datetime, {"format": "date-time", "type": "string"}),
        (UUID, {"format": "uuid", "type": "string"}),
        (Any, {}),
    ],
)
def test_types_as_schemas(kind: Any, schema: dict[str, Any]) -> None:
    assert of(kind) == schema


@pytest.mark.parametrize("kind", [Colour, Point, Pair, Node, Decimal, dt.timedelta, tuple[int, str], list[Point]])
@pytest.mark.parametrize("side", ["validation", "serialization"])
def test_every_schema_of_a_type_can_be_compiled(kind: Any, side: Any) -> None:
    """What pydantic writes stays within what the linear validator reads."""
    Schema(schema_of(TypeAdapter(kind), side))


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int | float, {"type": "number"}),
        (float | int, {"type": "number"}),
        (int | float | None, {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        (str | int | float, {"anyOf": [{"type": "string"}, {"type": "number"}]}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (
            Annotated[int, Field(ge=0)] | float,
            {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "number"}]},
        ),
    ],
)
def test_an_integer_or_a_number_is_a_number(kind: Any, schema: dict[str, Any]) -> None:
    assert of(kind) == schema


def test_titles_that_repeat_a_name_are_left_out_and_others_stay() -> None:
    class Sized(BaseModel):
        width: int = Field(title="Width in pixels")
        colour: Colour

    document = of(list[Sized])
    assert document["$defs"]["Sized"]["properties"]["width"]["title"] == "Width in pixels"
    assert "title" not in document["$defs"]["Sized"]
    assert "title" not in document["$defs"]["Sized"]["properties"]["colour"]


def test_a_recursive_model_has_its_type_at_the_root() -> None:
    """TOUT-04: clients look at the root's type."""
    document = of(Node)
    assert document["type"] == "object"
    assert document["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert Schema(document).valid({"value": 1, "children": [{"value": 2}]})


def test_a_default_without_a_json_form_is_not_shown() -> None:
    class Holder(BaseModel):
        thing: Any = object()

    assert "default" not in of(Holder)["properties"]["thing"]


def test_a_reference_is_written_out_with_what_stands_beside_it() -> None:
    document = {"$defs": {"A": {"type": "string", "description": "a"}}}
    assert resolved({"$ref": "#/$defs/A", "description": "b"}, document) == {"type": "string", "description": "b"}
    assert resolved({"type": "integer"}, document) == {"type": "integer"}

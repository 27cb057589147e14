"""Elicitation forms: types to flat schemas, answers to values (ELIC-10 to ELIC-13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, Field, SecretStr

from mcpkit.features.forms import Form


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Person(BaseModel):
    name: str = "John Doe"
    age: Annotated[int, Field(ge=0, le=150)] = 30
    score: float = 95.5
    status: Literal["active", "inactive"] = "active"
    verified: bool = True


@dataclass
class Point:
    x: int
    y: int | None = None


@pytest.mark.parametrize(
    ("wanted", "value_schema", "sent", "value"),
    [
        (str, {"type": "string"}, "x", "x"),
        (int, {"type": "integer"}, 4, 4),
        (float, {"type": "number"}, 95.5, 95.5),
        (bool, {"type": "boolean"}, True, True),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, "b", "b"),
        (Colour, {"type": "string", "enum": ["red", "blue"]}, "red", Colour.RED),
        (["s", "m"], {"type": "string", "enum": ["s", "m"]}, "m", "m"),
        (
            {"s": "Small", "m": {"title": "Medium"}},
            {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "m", "title": "Medium"}]},
            "s",
            "s",
        ),
        (
            list[Literal["a", "b"]],
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            ["a"],
            ["a"],
        ),
        (
            [["a", "b"]],
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
            ["b"],
            ["b"],
        ),
        (
            [{"a": "A"}],
            {"type": "array", "items": {"type": "string", "anyOf": [{"const": "a", "title": "A"}]}},
            ["a"],
            ["a"],
        ),
    ],
    ids=str,
)
def test_a_bare_type_is_asked_for_as_one_field_named_value(
    wanted: Any, value_schema: Any, sent: Any, value: Any
) -> None:
    """ELIC-11, ELIC-13: the primitive kinds and the four enum forms."""
    form = Form.of(wanted)
    asked = {
        key: item for key, item in form.schema["properties"]["value"].items() if key not in {"title", "description"}
    }
    if asked.get("type") == "array":
        asked["items"] = {
            key: item for key, item in asked["items"].items() if not (key == "type" and "anyOf" in asked["items"])
        }
        value_schema = {
            **value_schema,
            "items": {
                k: v for k, v in value_schema["items"].items() if not (k == "type" and "anyOf" in value_schema["items"])
            },
        }
    assert asked == value_schema
    assert form.schema["required"] == ["value"]
    assert form.read({"value": sent}) == value


def test_a_model_is_asked_for_field_by_field_with_its_defaults() -> None:
    """ELIC-13, ELIC-15: defaults of every kind; SEP-1034."""
    form = Form.of(Person)
    fields = form.schema["properties"]
    assert form.schema["type"] == "object"
    assert "required" not in form.schema
    assert {name: field["default"] for name, field in fields.items()} == {
        "name": "John Doe",
        "age": 30,
        "score": 95.5,
        "status": "active",
        "verified": True,
    }
    assert fields["age"]["minimum"] == 0
    assert form.read({"name": "Ada", "age": 36, "score": 1, "status": "inactive", "verified": False}).age == 36


def test_a_pattern_is_checked_in_the_answer_only() -> None:
    """ELIC-17: no schema of any revision knows it."""
    form = Form.of(Annotated[str, Field(pattern="^a+$")])
    assert form.schema["properties"]["value"] == {"type": "string"}
    with pytest.raises(ValueError, match="pattern"):
        form.read({"value": "b"})


def test_an_optional_field_is_asked_for_without_null() -> None:
    form = Form.of(Point)
    assert form.schema["required"] == ["x"]
    assert form.schema["properties"]["y"]["type"] == "integer"
    assert form.read({"x": 1}) == Point(1)


def test_a_schema_of_ones_own_is_kept() -> None:
    schema = {"properties": {"username": {"type": "string", "format": "email"}}, "required": ["username"]}
    form = Form.of(schema)
    assert form.schema == {"type": "object", **schema}
    assert form.read({"username": "a@b.c"}) == {"username": "a@b.c"}


def test_a_schema_of_ones_own_is_held_to() -> None:
    """ELIC-14, JSCH-10: what was accepted must fit what was asked, formats included."""
    form = Form.of({"properties": {"mail": {"type": "string", "format": "email"}, "age": {"type": "integer"}}})
    for content in ({"mail": "nobody"}, {"age": "old"}):
        with pytest.raises(ValueError, match=r"^(mail|age): "):
            form.read(content)


class Visit(BaseModel):
    id: UUID
    day: date
    at: time
    site: AnyUrl


def test_a_format_that_forms_dont_know_is_checked_in_the_answer_only() -> None:
    """ELIC-11: the schema of every revision knows four."""
    form = Form.of(Visit)
    assert {name: field.get("format") for name, field in form.schema["properties"].items()} == {
        "id": None,
        "day": "date",
        "at": None,
        "site": "uri",
    }
    good = {"id": str(UUID(int=1)), "day": "2026-01-02", "at": "03:04:05", "site": "https://example.org"}
    assert form.read(good).at == time(3, 4, 5)
    with pytest.raises(ValueError, match="id"):
        form.read({**good, "id": "one"})


class Login(BaseModel):
    user: str
    password: SecretStr


@pytest.mark.parametrize("wanted", [SecretStr, Login, {"properties": {"p": {"type": "string", "format": "password"}}}])
def test_secrets_are_not_asked_for_by_form(wanted: Any) -> None:
    """ELIC-08: they go by a URL, past the client."""
    with pytest.raises(TypeError, match="elicit_url"):
        Form.of(wanted)


class Nested(BaseModel):
    inner: Person


OWN = {"properties": {"inner": {"type": "object"}}}
INVALID = {"properties": {"age": {"type": "integer", "minimum": "zero"}}}


@pytest.mark.parametrize("wanted", [Nested, list[int], dict[str, int], list[Person], OWN, INVALID], ids=str)
def test_what_is_not_flat_is_refused_with_the_fix(wanted: Any) -> None:
    """ELIC-10: forms are flat."""
    with pytest.raises(TypeError, match="a form can't ask"):
        Form.of(wanted)


@pytest.mark.parametrize(("wanted", "content"), [(int, {"value": "x"}), (Person, {"age": -1}), (int, None), (int, [])])
def test_an_answer_that_does_not_fit_is_one_line(wanted: Any, content: Any) -> None:
    """ELIC-14: the server validates on receipt."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        Form.of(wanted).read(content)


def test_of_very_many_choices_that_are_none_the_number_is_told() -> None:
    with pytest.raises(ValueError, match="2000 values don't fit their types"):
        Form.of(list[Colour]).read({"value": ["x"] * 2_000})

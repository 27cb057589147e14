"""From what callers give to keyword arguments."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from mcpkit.features import problems
from mcpkit.features.arguments import JsonArguments, TextArguments
from mcpkit.features.errors import BadArguments, RegistrationError
from mcpkit.features.options import ArgumentOptions
from mcpkit.features.problems import Problem
from mcpkit.features.signature import read_signature


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class User(BaseModel):
    """A user."""

    name: str
    tags: list[str] = []


@dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    deep: bool


def json_arguments(function: Callable[..., Any], schema: dict[str, Any] | None = None) -> JsonArguments:
    return JsonArguments(read_signature(function, schema_given=schema is not None), schema)


def text_arguments(function: Callable[..., Any]) -> TextArguments:
    return TextArguments(read_signature(function))


def add(a: int, b: int = 2) -> int:
    """Add.

    Args:
        a: The first.
    """
    return a + b


def rich(  # one of each kind
    user: User,
    point: Point,
    when: dt.datetime,
    colour: Colour = Colour.RED,
    mode: Literal["fast", "slow"] = "fast",
    pair: tuple[int, str] = (1, "a"),
    names: frozenset[str] = frozenset(),
    options: Options = {},  # noqa: B006  # what authors write
    ratio: float = 1.5,
    note: str | None = None,
    *,
    loud: bool = False,
) -> None: ...


# ── published ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_schema_of_a_plain_function() -> None:
    """TOOL-02, TOOL-08, JSCH-03."""
    assert json_arguments(add).document == {
        "type": "object",
        "properties": {"a": {"description": "The first.", "type": "integer"}, "b": {"default": 2, "type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }


def test_the_schema_of_no_arguments() -> None:
    """TOOL-08."""

    def tool() -> None: ...

    assert json_arguments(tool).document == {"type": "object", "additionalProperties": False}


def test_models_stand_under_defs_and_defaults_are_json() -> None:
    document = json_arguments(rich).document
    assert document["properties"]["user"] == {"$ref": "#/$defs/User"}
    assert document["$defs"]["User"]["description"] == "A user."
    assert document["properties"]["colour"] == {"$ref": "#/$defs/Colour", "default": "red"}
    assert document["properties"]["pair"]["default"] == [1, "a"]
    assert document["required"] == ["user", "point", "when"]


# ── bound ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_values_become_the_annotated_types() -> None:
    bound = json_arguments(rich).bind(
        {
            "user": {"name": "Ada"},
            "point": {"x": 1},
            "when": "2026-07-28T10:00:00Z",
            "colour": "blue",
            "pair": [2, "b"],
            "names": ["x"],
            "options": {"deep": True},
            "ratio": 2,
            "loud": True,
        }
    )
    assert bound["user"] == User(name="Ada")
    assert bound["point"] == Point(1)
    assert bound["when"] == dt.datetime(2026, 7, 28, 10, tzinfo=dt.UTC)
    assert bound["colour"] is Colour.BLUE
    assert bound["pair"] == (2, "b")
    assert bound["names"] == frozenset({"x"})
    assert (bound["ratio"], type(bound["ratio"])) == (2.0, float)
    assert bound["loud"] is True


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"a": "1"}, ['a: expected an integer, got "1"']),
        ({"a": 1.5}, ["a: expected an integer, got 1.5"]),
        ({"a": True}, ["a: expected an integer, got true"]),
        ({"a": None}, ["a: expected an integer, got null"]),
        ({}, ["a: is required but missing"]),
        ({"a": 1, "c": 3}, ["c: is unknown; known are a, b"]),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], told: list[str]) -> None:
    """TOOL-23: strict as published; a bool is no integer."""
    with pytest.raises(BadArguments) as caught:
        json_arguments(add).bind(arguments)
    assert [str(problem) for problem in caught.value.problems] == told


def test_a_whole_number_is_an_integer_however_it_is_written() -> None:
    """JSON Schema: 5.0 is an integer; the function gets an int."""
    bound = json_arguments(add).bind({"a": 5.0})
    assert (bound["a"], type(bound["a"])) == (5, int)


class Filter(BaseModel):
    word: str
    tags: list[str] = []


def search(by: Filter, fields: list[str], note: str = "", raw: str | list[int] = "") -> None: ...


def test_an_object_or_array_that_a_model_sent_as_text_is_unpacked() -> None:
    """Only where the arguments would be refused otherwise: what may be a text stays one."""
    given = {"by": '{"word": "a"}', "fields": ' ["x"]', "note": '{"word": 1}', "raw": "[1]"}
    with pytest.raises(BadArguments) as refused:
        json_arguments(search).bind(given)
    found = json_arguments(search).coerce(given, ArgumentOptions(), refused.value.violations)
    assert found is not None
    assert found[0] == {"by": Filter(word="a"), "fields": ["x"], "note": '{"word": 1}', "raw": "[1]"}
    assert found[1] == ["by", "fields"]


@pytest.mark.parametrize("by", ['{"word": 1}', "{word", '["a"]', "3", '"{}"'])
def test_a_text_that_holds_nothing_that_fits_is_refused_as_it_came(by: str) -> None:
    with pytest.raises(BadArguments, match="by: expected an object") as refused:
        json_arguments(search).bind({"by": by, "fields": []})
    found = json_arguments(search).coerce({"by": by, "fields": []}, ArgumentOptions(), refused.value.violations)
    assert found is None


def test_what_only_the_type_knows_is_refused_too() -> None:
    """Formats are annotations for the schema (JSCH-10), the date is checked when it is made."""
    with pytest.raises(BadArguments, match="when: "):
        json_arguments(rich).bind({"user": {"name": "A"}, "point": {"x": 1}, "when": "yesterday"})


def test_a_default_told_by_field_is_given() -> None:
    def tool(
        a: int = Field(7),
        b: list[int] = Field(default_factory=list),  # noqa: B008  # pydantic's way
        c: Annotated[str, Field(default="x")] = Field(description="c"),
    ) -> None: ...

    bind = json_arguments(tool).bind
    assert bind({}) == {"a": 7, "b": [], "c": "x"}
    assert bind({"a": 1}) == {"a": 1, "b": [], "c": "x"}


def test_an_alias_is_the_callers_name() -> None:
    def tool(from_: Annotated[int, Field(alias="from")], to: int = 3) -> None: ...

    arguments = json_arguments(tool)
    assert list(arguments.document["properties"]) == ["from", "to"]
    assert dict(arguments.bind({"from": 1})) == {"from_": 1, "to": 3}


def test_names_that_are_methods_elsewhere_are_only_names() -> None:
    def tool(self_: int, copy: int, json: str, model_config: int, _hidden: int, schema: int = 1) -> None: ...

    given = {"self_": 1, "copy": 2, "json": "j", "model_config": 3, "_hidden": 4, "schema": 5}
    assert json_arguments(tool).bind(given) == given


EMPTY: list[Any] = []
PLAIN = {
    "a": st.integers() | st.floats(allow_nan=False),
    "s": st.text(),
    "f": st.integers() | st.floats(allow_nan=False),
}
ODD = st.none() | st.booleans() | st.text() | st.lists(st.integers())


@given(st.fixed_dictionaries({}, optional={**PLAIN, "many": ODD | st.lists(ODD), "n": ODD, "x": ODD, "zz": ODD}))
def test_the_quick_way_is_exactly_the_careful_way(arguments: dict[str, Any]) -> None:
    """Whatever is given, what the function sees is the same as if every argument had been looked at."""

    def tool(
        a: int, s: str = "s", f: float = 0.5, *, many: list[Any] = EMPTY, n: int | None = None, x: Any = 1
    ) -> dict[str, Any]:
        return {"a": a, "s": s, "f": f, "many": many, "n": n, "x": x}

    subject = json_arguments(tool)

    def seen(bind: Callable[[dict[str, Any]], Any]) -> Any:
        try:
            return [(value, type(value)) for value in tool(**bind(arguments)).values()]
        except BadArguments as error:
            return str(error)

    assert seen(subject._quick) == seen(subject._checked)


# ── the author's own schema ──────────────────────────────────────────────────────────────────────────────────────────

CONTACT: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}}}},
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def test_an_authors_schema_is_published_byte_for_byte() -> None:
    """SHAPE-06, JSCH-09, fixture json_schema_2020_12_tool."""

    def tool(**arguments: Any) -> None: ...

    subject = json_arguments(tool, CONTACT)
    assert repr(subject.document) == repr(CONTACT)
    assert subject.bind({"name": "Ada", "email": "a@b"}) == {"name": "Ada", "email": "a@b"}
    for bad in ({"name": "Ada"}, {"contactMethod": "phone", "email": "a"}, {"email": "a", "fax": "f"}, {"name": 3}):
        with pytest.raises(BadArguments):
            subject.bind(bad)


def test_the_types_still_convert_and_what_the_function_does_not_take_is_dropped() -> None:
    def tool(when: dt.date, n: int = 3) -> None: ...

    subject = json_arguments(tool, {"type": "object", "properties": {"when": {"type": "string"}}})
    assert dict(subject.bind({"when": "2026-01-02", "other": 1})) == {"when": dt.date(2026, 1, 2), "n": 3}
    with pytest.raises(BadArguments, match="when: is required but missing"):
        subject.bind({})


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"type": "string"}, '"type": "object"'),
        ({"properties": {}}, '"type": "object"'),
        ({"type": "object", "properties": {"a": {"type": "nope"}}}, "properties.a.type"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, "'a' has no property"),
    ],
)
def test_an_authors_schema_that_can_not_work_is_refused(schema: dict[str, Any], fault: str) -> None:
    """JSCH-02, JSCH-03: at registration."""
    with pytest.raises(RegistrationError, match=r"test_arguments\.py:\d+") as caught:
        json_arguments(add, schema)
    assert fault in str(caught.value)


# ── from text ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_texts_become_the_annotated_types() -> None:
    """PRMT-02: on the wire every argument is a string."""

    def prompt(
        n: int, flag: bool, colour: Colour, day: dt.date, items: list[int], user: User | None = None, text: str = "t"
    ) -> None: ...

    bound = text_arguments(prompt).bind(
        {"n": "5", "flag": "true", "colour": "blue", "day": "2026-01-02", "items": "[1, 2]", "user": '{"name": "A"}'}
    )
    assert dict(bound) == {
        "n": 5,
        "flag": True,
        "colour": Colour.BLUE,
        "day": dt.date(2026, 1, 2),
        "items": [1, 2],
        "user": User(name="A"),
    }


def test_a_text_stays_as_it_is() -> None:
    def prompt(text: str, anything: Any = None) -> None: ...

    assert dict(text_arguments(prompt).bind({"text": "[1]", "anything": "[1]"})) == {"text": "[1]", "anything": "[1]"}


def test_a_list_of_texts_is_taken_item_by_item() -> None:
    """A URI template's repeated variable."""

    def resource(ids: list[int]) -> None: ...

    assert dict(text_arguments(resource).bind({"ids": ["1", "2"]})) == {"ids": [1, 2]}


def test_every_text_that_does_not_fit_is_told_and_unknown_ones_are_ignored() -> None:
    """PRMT-03, PRMT-08."""

    def prompt(n: int, text: str, m: list[int] = []) -> None: ...  # noqa: B006

    with pytest.raises(BadArguments) as caught:
        text_arguments(prompt).bind({"n": "x", "m": "[1, oops", "zz": "?"})
    assert [problem.path for problem in caught.value.problems] == ["n", "text", "m"]


def test_a_default_told_by_field_is_given_to_texts_too() -> None:
    def prompt(style: str = Field("short", description="How long")) -> None: ...

    subject = text_arguments(prompt)
    assert dict(subject.bind({})) == {"style": "short"}
    assert subject.required == set()
    assert subject.properties["style"]["description"] == "How long"


# ── what it may cost to tell what is wrong ───────────────────────────────────────────────────────────────────────────


@dataclass
class Priced:
    price: Decimal
    id: UUID | None = None


class Ids(BaseModel):
    ids: list[UUID]


@pytest.mark.parametrize(
    ("kind", "value", "place"),
    [
        (list[UUID], ["x"] * 20_000, "x[0]"),
        (list[UUID], [str(UUID(int=0))] * 5_000 + ["x"] * 20_000, "x[5000]"),
        (set[Decimal], [f"x{n}" for n in range(20_000)], "x[0]"),
        (list[Priced], [{"price": "x"}] * 20_000, "x[0].price"),
        (list[list[UUID]], [["x"] * 100] * 200, "x[0][0]"),
        (dict[str, list[UUID]], {"a": ["x"] * 20_000}, "x.a[0]"),
        (dict[str, UUID], {f"n{n}": "x" for n in range(20_000)}, ""),
        (Ids, {"ids": ["x"] * 20_000}, ""),
    ],
    ids=str,
)
def test_of_very_many_values_that_do_not_fit_the_first_or_the_number_is_told(
    monkeypatch: pytest.MonkeyPatch, kind: Any, value: Any, place: str
) -> None:
    """The JSON Schema lets them pass; the type doesn't."""
    made: list[Problem] = []
    monkeypatch.setattr(problems, "Problem", lambda *said: made.append(Problem(*said)) or made[-1])

    def tool(x: Any) -> None: ...

    tool.__annotations__["x"] = kind
    subject = json_arguments(tool)
    for _ in range(2):
        made.clear()
        with pytest.raises(BadArguments) as caught:
            subject.bind({"x": value})
        assert len(made) == 1
        assert caught.value.violations == ()
        [problem] = caught.value.problems
        assert problem.path == place
        assert ("send fewer at a time" in problem.message) is (place == "")


def test_of_many_values_all_are_counted() -> None:
    def tool(x: list[UUID]) -> None: ...

    with pytest.raises(BadArguments, match=r"x\[0\]: .*; and 990 more"):
        json_arguments(tool).bind({"x": ["x"] * 1_000})


@pytest.mark.parametrize(("one", "most"), [("1", 49_990), ("[]", 12_000), ('{"a":1}', 9_000)])
def test_a_text_holds_only_so_many_values(one: str, most: int) -> None:
    """A prompt's argument of 1 MiB could be 350,000 arrays, each refused by its type."""

    def prompt(items: list[int]) -> None: ...

    subject = text_arguments(prompt)
    with pytest.raises(BadArguments, match="items: holds more than 50000 values; send fewer at a time"):
        subject.bind({"items": f"[{','.join([one] * 2 * most)}]"})
    items = f"[{','.join([one] * most)}]"
    if one == "1":
        assert subject.bind({"items": items}) == {"items": [1] * most}
    else:
        with pytest.raises(BadArguments, match="values don't fit their types"):
            subject.bind({"items": items})

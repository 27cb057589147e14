"""Arguments that models send in place of the right ones: taken where they can mean one thing only, else told."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

from mcpkit import RegistrationError, Server
from mcpkit.features import coercion
from mcpkit.features.options import ArgumentOptions
from mcpkit.features.schema import Schema
from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.settings import Settings
from mcpkit.testing import connect


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    lives: str
    age: int


class Sizes(TypedDict):
    width: int
    tall: bool


def even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    return value


Even = Annotated[int, AfterValidator(even)]
Tagged = Annotated[Cat | Dog, Field(discriminator="kind")]
Long = Annotated[str, Field(min_length=3)]


def tool_of(annotation: Any) -> Any:
    def tool(x: Any) -> str:
        return repr(x)

    tool.__annotations__["x"] = annotation
    return tool


async def called(function: Any, arguments: dict[str, Any], revision: str = "auto", **options: Any) -> str:
    """The text of the call, or what is wrong with it."""
    server = Server("x", **options)
    server.add_tool(function, name="f")
    async with connect(server, revision=revision) as client:
        try:
            return (await client.call_tool("f", arguments, raise_on_error=False)).text
        except Exception as refused:
            return str(refused)


TAKEN = [
    (int, "7", 7),
    (int, " 7 ", 7),
    (int, "-12", -12),
    (int, "0", 0),
    (int, "9" * 18, int("9" * 18)),
    (float, "2.5", 2.5),
    (float, "-1e3", -1000.0),
    (float, "7", 7.0),
    (bool, "true", True),
    (bool, "False", False),
    (int | None, "null", None),
    (int | None, "5", 5),
    (int | bool, "true", True),
    (Literal[1, 2], "2", 2),
    (int | Literal["auto"], "7", 7),
    (list[int], ["1", 2, " 3"], [1, 2, 3]),
    (list[int], '["1"]', [1]),
    (list[int | None], ["1", "null"], [1, None]),
    (dict[str, float], {"a": "1.5"}, {"a": 1.5}),
    (dict[str, list[bool]], {"a": ["true"]}, {"a": [True]}),
    (Sizes, {"width": "3", "tall": "true"}, {"width": 3, "tall": True}),
    (Sizes, '{"width": "3", "tall": true}', {"width": 3, "tall": True}),
    (list[Cat], ['{"kind": "cat", "lives": "9"}'], [Cat(kind="cat", lives=9)]),
    (Cat | None, '{"kind": "cat", "lives": 9}', Cat(kind="cat", lives=9)),
    (Cat | Dog, {"kind": "dog", "lives": "7", "age": "3"}, Dog(kind="dog", lives="7", age=3)),
    (Tagged, {"kind": "dog", "lives": "7", "age": "3"}, Dog(kind="dog", lives="7", age=3)),
    (list[Cat | int], [{"kind": "cat", "lives": "9"}, "4"], [Cat(kind="cat", lives=9), 4]),
    (Even, "4", 4),
]
REFUSED = [
    (int, "7.0"),
    (int, "07"),
    (int, "+7"),
    (int, "-0"),
    (int, "1_000"),
    (int, "٧"),
    (int, "9" * 19),
    (int, "seven"),
    (int, ""),
    (int, True),
    (int, 7.5),
    (int, None),
    (int, "null"),
    (int | None, "None"),
    (float, "NaN"),
    (float, "Infinity"),
    (float, "1e999"),
    (float, ".5"),
    (float, "0x10"),
    (bool, 1),
    (bool, "1"),
    (bool, "yes"),
    (bool, "TRUE"),
    (str, 7),
    (str, True),
    (str, None),
    (str | None, 7),
    (list[str], "a"),
    (list[int], "[NaN]"),
    (list[int], "[1"),
    (list[int], '{"a": 1}'),
    (list[int], ["1", "x"]),
    (int | Long, "7"),
    (int | None | Annotated[str, Field(pattern="^[a-z]+$")], "7"),
    (Literal["1", 2], "3"),
    (Even, "3"),
    (Cat, {"kind": "cat", "lives": "many"}),
    (Cat, {"kind": "cat"}),
]
KEPT = [
    (str, "7"),
    (str | int, "7"),
    (str | None, "null"),
    (Any, "7"),
    (Any, '{"a": 1}'),
    (Literal["1", 1], "1"),
    (list[str] | str, '["a"]'),
    (list[str], ["7", "true", "null"]),
]


def name(value: Any) -> str:
    return str(value)[:30]


@pytest.mark.parametrize(("annotation", "given", "meant"), TAKEN, ids=name)
async def test_what_can_mean_one_thing_is_taken_for_it(annotation: Any, given: Any, meant: Any) -> None:
    assert await called(tool_of(annotation), {"x": given}) == repr(meant)
    assert (await called(tool_of(annotation), {"x": given}, lenient=False)).startswith("Invalid arguments for f: ")


@pytest.mark.parametrize(("annotation", "given"), REFUSED, ids=name)
async def test_everything_else_is_told_as_it_came(annotation: Any, given: Any) -> None:
    lenient = await called(tool_of(annotation), {"x": given})
    assert lenient.startswith("Invalid arguments for f: ")
    assert lenient == await called(tool_of(annotation), {"x": given}, lenient=False)


@pytest.mark.parametrize(("annotation", "given"), KEPT, ids=name)
async def test_what_fits_is_left_alone(annotation: Any, given: Any) -> None:
    assert await called(tool_of(annotation), {"x": given}) == repr(given)


@pytest.mark.parametrize("revision", sorted(REVISIONS))
async def test_every_revision_takes_the_same(revision: str) -> None:
    assert await called(tool_of(list[int]), {"x": '["1"]'}, revision) == "[1]"
    assert "expected an integer" in await called(tool_of(int), {"x": "x"}, revision)


async def test_only_failing_places_are_touched() -> None:
    def tool(n: int, text: str, anything: Any = None, sizes: list[str | int] = []) -> str:  # noqa: B006 - never changed
        return repr((n, text, anything, sizes))

    given = {"n": "7", "text": "7", "anything": "true", "sizes": ["1", 2]}
    assert await called(tool, given) == "(7, '7', 'true', ['1', 2])"


async def test_null_for_what_may_be_left_out_leaves_it_out() -> None:
    class Options(BaseModel):
        size: int = 3

    def tool(a: str = "d", b: int = 5, options: Options = Options()) -> str:  # noqa: B008 - never changed
        return repr((a, b, options.size))

    def needs(a: str) -> str:
        return a

    assert await called(tool, {"a": None, "b": None, "options": {"size": None}}) == "('d', 5, 3)"
    assert "a: expected a string, got null" in await called(tool, {"a": None}, lenient=False)
    assert "a: expected a string, got null" in await called(needs, {"a": None})


async def test_an_authors_own_schema_is_served_alike() -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"oneOf": [{"type": "integer"}, {"type": "array", "items": {"type": "boolean"}}]}},
    }
    server = Server("x")
    server.add_tool(tool_of(Any), name="f", input_schema=schema)
    async with connect(server) as client:
        assert (await client.call_tool("f", {"x": "7"})).text == "7"
        assert (await client.call_tool("f", {"x": '["true"]'})).text == "[True]"


async def test_what_was_taken_is_logged_without_its_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mcpkit.tools")
    await called(tool_of(list[int]), {"x": ["4711", 2]})
    [record] = [record for record in caplog.records if "mended" in record.getMessage()]
    assert record.getMessage() == "f: arguments were mended at x[0]"
    assert record.levelname == "DEBUG"


# ── extra arguments ──────────────────────────────────────────────────────────────────────────────────────────────────


def two(a: str, b: int = 1) -> str:
    return repr((a, b))


async def test_extra_arguments_are_refused_unless_the_server_says_otherwise() -> None:
    extra = {"a": "x", "toolCallId": "1", "sessionId": None}
    assert "toolCallId: is unknown; known are a, b" in await called(two, {"a": "x", "toolCallId": "1"})
    assert await called(two, extra, extra_arguments="ignore") == "('x', 1)"
    assert await called(two, {**extra, "b": "3"}, extra_arguments="ignore") == "('x', 3)"
    assert await called(two, extra, extra_arguments="ignore", lenient=False) == "('x', 1)"
    assert "b: expected an integer" in await called(two, {**extra, "b": "3"}, extra_arguments="ignore", lenient=False)
    assert "a: is required" in await called(two, {"toolCallId": "1"}, extra_arguments="ignore")


async def test_extra_members_within_an_argument_are_its_types_affair() -> None:
    class Closed(BaseModel, extra="forbid"):
        a: int = 1

    assert "x.b: is unknown" in await called(tool_of(Closed), {"x": {"b": 1}}, extra_arguments="ignore")


@pytest.mark.parametrize(
    ("environment", "options", "text"),
    [
        ({}, {}, "is unknown"),
        ({"MCP_EXTRA_ARGUMENTS": "ignore"}, {}, "('x', 1)"),
        ({"MCP_EXTRA_ARGUMENTS": "ignore"}, {"extra_arguments": "refuse"}, "is unknown"),
    ],
)
async def test_the_environment_says_it_where_the_program_does_not(
    environment: dict[str, str], options: dict[str, Any], text: str
) -> None:
    server = Server("x", **options)
    server.add_tool(two, name="f")
    server.configure(Settings.load(environment, None))
    async with connect(server) as client:
        assert text in (await client.call_tool("f", {"a": "x", "extra": 1}, raise_on_error=False)).text


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(RegistrationError, match="extra_arguments must be one of 'refuse', 'ignore', not 'drop'"):
        Server("x", extra_arguments="drop")  # type: ignore[arg-type]  # as is the point


# ── what it may cost ─────────────────────────────────────────────────────────────────────────────────────────────────


class Counted(Schema):
    """A schema that counts how often it judges."""

    calls = 0

    def violations(self, value: Any) -> Any:
        self.calls += 1
        return super().violations(value)


def coerced(schema: Schema, arguments: dict[str, Any]) -> Any:
    return coercion.coerce(schema, arguments, ArgumentOptions(), schema.violations(arguments) or ())


def counted(items: Any) -> Counted:
    return Counted({"type": "object", "properties": {"x": {"type": "array", "items": items}}})


def test_many_failing_places_are_mended_at_once() -> None:
    schema = counted({"type": "integer"})
    found = coerced(schema, {"x": ["1"] * 900})
    assert found is not None
    assert found[0] == {"x": [1] * 900}
    assert schema.calls == 2


def test_what_is_ambiguous_everywhere_is_given_up() -> None:
    options = [{"type": "object", "properties": {name: {"type": "integer"}}, "required": [name, "z"]} for name in "ab"]
    schema = counted({"anyOf": options})
    assert coerced(schema, {"x": [{"a": "1", "b": "1"}] * 100}) is None
    ambiguous = counted(
        {"oneOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "integer"}}}]}
    )
    assert coerced(ambiguous, {"x": [{"a": "1", "b": "1"}] * 100}) is None
    assert schema.calls + ambiguous.calls <= 2 * coercion.MOST_VALIDATIONS


@pytest.mark.parametrize(
    ("beside", "texts"),
    [([0] * 5_000, False), (["y" * 200_000], True), ({str(n): n for n in range(5_000)}, False)],
    ids=["list", "text", "object"],
)
@pytest.mark.parametrize("wrong", [1, 2, 12])
def test_large_arguments_are_judged_a_few_times_only(beside: Any, texts: bool, wrong: int) -> None:
    """Of few values all that is wrong is known at once, however long the texts are."""
    schema = Counted({"properties": {f"a{n}": {"type": "integer"} for n in range(wrong)}})
    found = coerced(schema, {**{f"a{n}": "1" for n in range(wrong)}, "beside": beside})
    assert schema.calls <= 1 + coercion.MOST_VALIDATIONS // coercion.LARGE_COUNTS
    assert (found is not None) is (wrong <= 2 or texts)


@pytest.mark.parametrize("name", ["7", "07", "-7", "a"])
async def test_a_member_may_be_named_by_a_number(name: str) -> None:
    async def f(x: dict[str, Sizes]) -> str:
        return repr(x)

    answer = await called(f, {"x": {name: {"width": "1", "tall": True}}})
    assert ("'width': 1" in answer) is (name != "07")
    assert "expected an integer" in answer or name != "07"


def test_what_fits_is_not_judged_again() -> None:
    schema = counted({"type": "integer"})
    assert coerced(schema, {"x": [1] * 100}) is None
    assert schema.calls == 1


@pytest.mark.parametrize("pieces", [1, 100])
def test_what_texts_hold_is_bounded_in_sum(pieces: int) -> None:
    """A list of texts, each of a few thousand arrays: as many values as one message may hold, or none."""
    schema = counted({"type": "array"})
    for values, mended in ((10_000 // pieces, True), (30_000 // pieces, False)):
        found = coerced(schema, {"x": [f"[{','.join(['[]'] * values)}]"] * pieces})
        assert (found is not None) is mended


def test_a_text_is_read_once_for_all_that_it_may_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = coercion.load
    monkeypatch.setattr(coercion, "load", lambda data, limits: read.append(data) or load(data, limits))
    schema = counted({"anyOf": [{"type": "array", "items": {"type": kind}} for kind in ("integer", "null", "boolean")]})
    found = coerced(schema, {"x": ["[true]"]})
    assert found is not None
    assert (found[0], read) == ({"x": [[True]]}, [b"[true]"])

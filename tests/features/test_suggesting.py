"""Suggestions for one argument."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from mcpkit.features.arguments import TextArguments
from mcpkit.features.errors import BadReturn, RegistrationError
from mcpkit.features.signature import read_signature
from mcpkit.features.suggesting import MOST_VALUES, Asker, Completion, completion_of, matching, sources_of
from tests.exchanges import exchange

CALL = exchange("completion/complete")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Context:
    __mcp_context__ = True

    def __init__(self, call: Any) -> None:
        self.call = call


def prompt(
    colour: Colour,
    mode: Literal["fast", "slow"] | None = None,
    flag: bool = False,
    level: Literal[3] = 3,
    text: str = "",
) -> None: ...


PROPERTIES = TextArguments(read_signature(prompt)).properties


async def values(given: dict[str, Any], name: str, typed: str = "", **others: str) -> list[str]:
    source = sources_of(given, PROPERTIES, "app.py:1")[name]
    return list((await source.suggest(typed, others, CALL, Context))["values"])


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("colour", ["red", "blue"]), ("mode", ["fast", "slow"]), ("flag", ["true", "false"]), ("level", ["3"])],
)
async def test_types_that_list_their_values_suggest_them(name: str, suggested: list[str]) -> None:
    assert await values({}, name) == suggested


def test_other_types_suggest_nothing() -> None:
    assert "text" not in sources_of({}, PROPERTIES, "app.py:1")


async def test_a_list_is_filtered_by_what_is_typed() -> None:
    """COMP-03: what begins so comes before what contains it."""
    assert matching("AR", ["bar", "Art", "zebra", "arc"]) == ["Art", "arc", "bar"]
    assert await values({"text": ["alpha", "beta"]}, "text", "be") == ["beta"]
    assert await values({"text": [1, 2]}, "text") == ["1", "2"]


async def test_functions_take_what_they_want() -> None:
    def nothing() -> list[str]:
        return ["n"]

    def typed_only(typed: str) -> list[str]:
        return [typed]

    async def with_others(typed, others) -> list[str]:  # type: ignore[no-untyped-def]
        return [typed, others["mode"]]

    async def with_context(ctx: Context, typed: str) -> list[str]:
        return [typed, ctx.call.method]

    assert await values({"text": nothing}, "text") == ["n"]
    assert await values({"text": typed_only}, "text", "a") == ["a"]
    assert await values({"text": with_others}, "text", "a", mode="fast") == ["a", "fast"]
    assert await values({"text": with_context}, "text", "a") == ["a", "completion/complete"]
    assert await values({"colour": typed_only}, "colour", "zebra") == ["zebra"], (
        "the author's word goes before the type's"
    )


async def test_a_function_may_know_nothing() -> None:
    source = sources_of({"text": lambda: None}, PROPERTIES, "app.py:1")["text"]
    assert source.explicit
    assert (await source.suggest("", {}, CALL, Context)) == {"values": [], "total": 0, "hasMore": False}


def test_an_argument_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"app\.py:1.*'color'.*did you mean 'colour'"):
        sources_of({"color": []}, PROPERTIES, "app.py:1")


def test_answers_are_cut_at_a_hundred_and_say_so() -> None:
    """COMP-03."""
    many = [str(n) for n in range(MOST_VALUES + 5)]
    answer = completion_of(many)
    assert (len(answer["values"]), answer["total"], answer["hasMore"]) == (MOST_VALUES, MOST_VALUES + 5, True)
    assert completion_of(many[:MOST_VALUES]) == {"values": many[:MOST_VALUES], "total": MOST_VALUES, "hasMore": False}


def test_whole_answers_and_other_iterables() -> None:
    def generate() -> Iterator[str]:
        yield "a"

    assert completion_of(Completion(["a"], total=500)) == {"values": ["a"], "total": 500, "hasMore": True}
    assert completion_of(Completion(["a"], total=1, has_more=True))["hasMore"] is True
    assert completion_of(generate())["values"] == ["a"]
    assert completion_of(("a", 1))["values"] == ["a", "1"]
    assert completion_of(None) == {}


@pytest.mark.parametrize("answer", ["text", b"bytes", {"values": []}, 3])
def test_other_answers_are_refused(answer: Any) -> None:
    with pytest.raises(BadReturn):
        completion_of(answer)


async def test_an_asker_gives_by_place() -> None:
    async def handler(ref, argument, context) -> list[str]:  # type: ignore[no-untyped-def]
        return [ref, argument, context]

    assert await Asker(handler).ask(("r", "a", "c"), CALL, Context) == ["r", "a", "c"]
    assert Asker(handler).function is handler

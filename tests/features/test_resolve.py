"""Parameters that a function fills: what it may take, how often it runs, how it asks and cleans up."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import pytest

from mcpkit.features.binding import bind_json
from mcpkit.features.context import Context, Services
from mcpkit.features.errors import RegistrationError, ToolError
from mcpkit.features.questions import Elicit, Elicitation, ListRoots
from mcpkit.features.resolve import Resolve
from mcpkit.protocol.changes import LocalChanges
from mcpkit.protocol.exchange import InputRequired
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from tests.exchanges import Recorder, exchange


class Caller:
    """Calls a function as a tool is called, and remembers what was asked."""

    def __init__(self, *answers: Any, revision: Any = NEWEST_HANDSHAKE) -> None:
        waiting = list(answers)
        self.channel = Recorder(lambda method, params: waiting.pop(0))
        self.exchange = exchange("tools/call", revision=revision, channel=self.channel)

    async def __call__(self, function: Callable[..., Any], **arguments: Any) -> Any:
        bound, _ = bind_json(function)
        context = partial(Context, services=Services(LocalChanges(), None))  # type: ignore[arg-type]  # reads nothing
        return await bound.call(bound.bind(arguments), self.exchange, context)


def accepted(value: Any) -> dict[str, Any]:
    return {"action": "accept", "content": {"value": value}}


async def test_a_function_may_give_the_value_itself() -> None:
    async def later(ctx: Context) -> str:
        return f"for {ctx.request_id}"

    async def tool(a: Annotated[int, Resolve(lambda: 5)], b: Annotated[str, Resolve(later)]) -> Any:
        return a, b

    assert await Caller()(tool) == (5, "for 1")


async def test_a_question_yields_what_the_user_accepted() -> None:
    """DUAL-09."""

    async def tool(many: Annotated[int, Resolve(lambda: Elicit("How many?", int))]) -> Any:
        return many

    assert await Caller(accepted(4))(tool) == 4
    with pytest.raises(ToolError, match="decline: How many"):
        await Caller({"action": "decline"})(tool)


async def test_the_whole_outcome_can_be_asked_for() -> None:
    """ELIC-04: all three actions can be handled."""

    async def tool(many: Annotated[Elicitation, Resolve(lambda: Elicit("How many?", int), outcome=True)]) -> Any:
        return many

    assert await Caller({"action": "cancel"})(tool) == Elicitation("cancel")


async def test_other_questions_yield_their_answers() -> None:
    async def tool(roots: Annotated[Any, Resolve(ListRoots)]) -> Any:
        return roots

    assert await Caller({"roots": []})(tool) == []


async def test_a_stateless_caller_is_asked_by_result_under_the_parameters_name() -> None:
    """MRTR-03: functions without a name of their own, or with the same one, are different questions."""

    async def tool(
        first: Annotated[str, Resolve(lambda: Elicit("First?"))],
        second: Annotated[str, Resolve(lambda: Elicit("Second?"))],
    ) -> Any:
        return first, second

    caller = Caller(revision=NEWEST)
    with pytest.raises(InputRequired):
        await caller(tool)
    answers = caller.exchange.state["answers"]
    assert list(answers.missing) == ["first"]
    answers.recorded["first"] = accepted("a")
    with pytest.raises(InputRequired):
        await caller(tool)
    answers.recorded["second"] = accepted("b")
    assert await caller(tool) == ("a", "b")


# ── what a function may take ─────────────────────────────────────────────────────────────────────────────────────────


def seats(city: str, many: int) -> Elicit:
    return Elicit(f"{many} seats to {city}?", bool)


async def test_it_takes_arguments_by_their_names_with_their_defaults() -> None:
    async def tool(city: str, sure: Annotated[bool, Resolve(seats)], many: int = 2) -> Any:
        return city, sure, many

    caller = Caller(accepted(True))
    assert await caller(tool, city="Rome") == ("Rome", True, 2)
    assert caller.channel.asked[0][1]["message"] == "2 seats to Rome?"


async def test_it_takes_what_others_give_and_each_is_called_once() -> None:
    opened: list[str] = []

    def database(ctx: Context, city: str) -> str:
        opened.append(city)
        return f"{city} for {ctx.request_id}"

    def users(base: Annotated[str, Resolve(database)], limit: int = 3) -> str:
        return f"{limit} users of {base}"

    async def tool(
        city: str, base: Annotated[str, Resolve(database)], who: Annotated[str, Resolve(users)]
    ) -> tuple[str, str]:
        return base, who

    assert await Caller()(tool, city="Rome") == ("Rome for 1", "3 users of Rome for 1")
    assert opened == ["Rome"]


async def test_a_single_parameter_without_a_type_is_the_context_or_an_argument() -> None:
    async def tool(
        city: str,
        id: Annotated[Any, Resolve(lambda ctx: ctx.request_id)],
        loud: Annotated[str, Resolve(lambda city: city + "!")],
    ) -> Any:
        return id, loud

    assert await Caller()(tool, city="Rome") == (1, "Rome!")


class Store:
    """What is made for a call, of what the call knows."""

    def __init__(self, ctx: Context, city: str) -> None:
        self.made = f"{city} for {ctx.request_id}"


async def test_it_may_be_a_class_or_a_part_of_a_function() -> None:
    def near(distance: int, city: str) -> str:
        return f"{distance} km from {city}"

    async def tool(
        city: str, store: Annotated[Store, Resolve(Store)], where: Annotated[str, Resolve(partial(near, 5))]
    ) -> Any:
        return store.made, where

    assert await Caller()(tool, city="Rome") == ("Rome for 1", "5 km from Rome")

    def lost(where: Annotated[str, Resolve(partial(near, 5))]) -> str:
        return where

    with pytest.raises(RegistrationError, match="near can't be given 'city'"):
        bind_json(lost)


def test_what_can_not_be_given_is_refused_when_the_tool_is_offered() -> None:
    def tool(town: str, sure: Annotated[bool, Resolve(seats)]) -> str:
        return town

    with pytest.raises(RegistrationError, match=r"seats can't be given 'city': let it take arguments of tool"):
        bind_json(tool)

    def outer(inner: Annotated[bool, Resolve(seats)]) -> bool:
        return inner

    def deeper(sure: Annotated[bool, Resolve(outer)]) -> str:
        return ""

    with pytest.raises(RegistrationError, match="seats can't be given 'city'"):
        bind_json(deeper)


# ── where it runs, and what it leaves ────────────────────────────────────────────────────────────────────────────────


async def test_what_may_block_runs_in_a_thread() -> None:
    async def tool(where: Annotated[Any, Resolve(threading.current_thread)]) -> Any:
        return where

    assert await Caller()(tool) is not threading.main_thread()


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_opened_is_closed_when_the_call_is_over(fails: bool) -> None:
    log: list[str] = []

    async def connection() -> AsyncIterator[str]:
        log.append("connect")
        try:
            yield "connection"
        finally:
            log.append("disconnect")

    def cursor(on: Annotated[str, Resolve(connection)]) -> Iterator[str]:
        log.append("open")
        try:
            yield f"cursor of {on}"
        except LookupError as error:
            log.append(str(error))
            raise
        finally:
            log.append("close")

    async def tool(cursor: Annotated[str, Resolve(cursor)]) -> str:
        log.append("work")
        if fails:
            raise LookupError("broken")
        return cursor

    if fails:
        with pytest.raises(LookupError, match="broken"):
            await Caller()(tool)
    else:
        assert await Caller()(tool) == "cursor of connection"
    said = ["broken"] if fails else []
    assert log == ["connect", "open", "work", *said, "close", "disconnect"]


async def test_an_error_that_cleaning_up_hides_is_an_error_still() -> None:
    """It would look like a tool that returned nothing."""

    def opened() -> Iterator[int]:
        with suppress(LookupError):
            yield 1

    async def tool(given: Annotated[int, Resolve(opened)]) -> None:
        raise LookupError("broken")

    with pytest.raises(RuntimeError, match="let it raise that again"):
        await Caller()(tool)


async def test_a_question_of_a_later_parameter_closes_what_an_earlier_one_opened() -> None:
    """MRTR-13: nothing is held while the client thinks."""
    log: list[str] = []

    def opened() -> Iterator[int]:
        log.append("open")
        yield 1
        log.append("not reached when the call ends early")

    def guarded() -> Iterator[int]:
        try:
            yield 2
        finally:
            log.append("close")

    async def tool(
        a: Annotated[int, Resolve(opened)],
        b: Annotated[int, Resolve(guarded)],
        c: Annotated[str, Resolve(lambda: Elicit("?"))],
    ) -> None: ...

    with pytest.raises(InputRequired):
        await Caller(revision=NEWEST)(tool)
    assert log == ["open", "close"]

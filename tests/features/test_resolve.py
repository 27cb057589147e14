"""The declarative way to ask: parameters that are resolved before the tool runs."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.features.context import Context, Services
from mcpkit.features.errors import ToolError
from mcpkit.features.questions import Elicit, Elicitation, ListRoots
from mcpkit.features.resolve import Resolve
from mcpkit.protocol.changes import LocalChanges
from mcpkit.protocol.exchange import InputRequired
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from tests.exchanges import Recorder, exchange


def context(answer: Any = None, revision: Any = NEWEST_HANDSHAKE) -> Context:
    channel = Recorder(lambda method, params: answer)
    return Context(exchange("tools/call", revision=revision, channel=channel), Services(LocalChanges(), None))  # type: ignore[arg-type]  # reads nothing


async def test_a_function_may_give_the_value_itself() -> None:
    async def later(ctx: Context) -> str:
        return f"for {ctx.request_id}"

    assert await Resolve(lambda: 5).resolve(context()) == 5
    assert await Resolve(later).resolve(context()) == "for 1"


async def test_a_question_yields_what_the_user_accepted() -> None:
    """DUAL-09."""
    resolve = Resolve(lambda: Elicit("How many?", int))
    assert await resolve.resolve(context({"action": "accept", "content": {"value": 4}})) == 4
    with pytest.raises(ToolError, match="decline: How many"):
        await resolve.resolve(context({"action": "decline"}))


async def test_the_whole_outcome_can_be_asked_for() -> None:
    """ELIC-04: all three actions can be handled."""
    resolve = Resolve(lambda: Elicit("How many?", int), outcome=True)
    assert await resolve.resolve(context({"action": "cancel"})) == Elicitation("cancel")


async def test_other_questions_yield_their_answers() -> None:
    assert await Resolve(ListRoots).resolve(context({"roots": []})) == []


async def test_a_stateless_caller_is_asked_by_result_under_the_functions_name() -> None:
    """MRTR-03."""

    def quantity() -> Elicit:
        return Elicit("How many?", int)

    ctx = context(revision=NEWEST)
    with pytest.raises(InputRequired):
        await Resolve(quantity).resolve(ctx)
    assert list(ctx.exchange.state["answers"].missing) == ["quantity"]

"""Bound functions: what they are given, and where they run."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Annotated, Any

import pytest

from mcpkit.features.binding import Bound, Injection, bind_json, bind_text
from mcpkit.features.resolve import Resolve
from mcpkit.features.running import within
from mcpkit.features.signature import Given
from mcpkit.protocol.exchange import BEGUN, InputRequired
from tests.exchanges import exchange

CALL = exchange("tools/call")


class Context:
    __mcp_context__ = True

    def __init__(self, call: Any) -> None:
        self.call = call


class Counting(Injection):
    """Gives 1, 2, 3… in the order of resolving, by the context it is given."""

    def check(self, owner: Any) -> None:
        assert owner.name == "tool"

    async def resolve(self, name: str, given: Given) -> Any:
        context = given.context
        context.count = getattr(context, "count", 0) + 1
        return context.count


ONE, TWO = Counting(), Counting()


async def call(bound: Bound, **arguments: Any) -> Any:
    return await asyncio.wait_for(bound.call(bound.bind(arguments), CALL, Context), 5)


async def test_async_functions_run_where_they_are_called() -> None:
    async def tool(a: int) -> Any:
        return a, threading.current_thread()

    assert await call(bind_json(tool)[0], a=1) == (1, threading.main_thread())


async def test_sync_functions_run_in_a_thread_unless_inline() -> None:
    def tool(a: int) -> Any:
        return a, threading.current_thread()

    ran = await call(bind_json(tool)[0], a=1)
    assert ran[0] == 1
    assert ran[1] is not threading.main_thread()
    assert await call(bind_json(tool, inline=True)[0], a=1) == (1, threading.main_thread())


async def test_a_sync_function_may_return_a_coroutine() -> None:
    async def inner() -> int:
        return 3

    def tool() -> Any:
        return inner()

    assert await call(bind_json(tool)[0]) == 3
    assert await call(bind_json(tool, inline=True)[0]) == 3


async def test_context_and_injections_are_given_in_order() -> None:
    async def tool(a: int, second: Annotated[int, TWO], ctx: Context, third: Annotated[int, ONE]) -> Any:
        return a, second, ctx.call, third

    arguments = {"a": 0}
    bound, _ = bind_json(tool)
    assert await bound.call(bound.bind(arguments), CALL, Context) == (0, 1, CALL, 2)
    assert arguments == {"a": 0}, "the caller's arguments must stay as they were"


async def test_no_context_is_made_for_those_who_want_none() -> None:
    async def tool() -> None: ...

    def forbidden(_: Any) -> None:
        pytest.fail("a context was made")

    bound, _ = bind_json(tool)
    await bound.call({}, CALL, forbidden)


async def test_the_body_begins_after_everything_is_settled() -> None:
    """A call becomes a task only when nothing is left to be asked."""
    order: list[str] = []

    async def asking() -> None:
        order.append("asked")

    async def tool(a: Annotated[None, Resolve(asking)]) -> None:
        order.append("body")

    async def begun() -> None:
        order.append("begun")

    noted = exchange("tools/call")
    noted.state[BEGUN] = begun
    await bind_json(tool)[0].call({}, noted, Context)
    assert order == ["asked", "begun", "body"]


@pytest.mark.parametrize("inline", [True, False])
async def test_nobody_ends_the_process(inline: bool) -> None:
    def sync() -> None:
        sys.exit(3)

    async def coroutine() -> None:
        sys.exit(3)

    for function in (sync, coroutine):
        with pytest.raises(RuntimeError):
            await within(5, bind_json(function, inline=inline)[0].call({}, CALL, Context))


async def test_a_question_leaves_the_handler() -> None:
    """MRTR-02: what asks by leaving is no failure, from a thread either."""

    def sync() -> None:
        raise InputRequired

    async def coroutine() -> None:
        raise InputRequired

    for function in (sync, coroutine):
        with pytest.raises(InputRequired):
            await call(bind_json(function)[0])


async def test_text_arguments_are_bound_by_their_types() -> None:
    async def prompt(n: int, style: str = "short") -> Any:
        return n, style

    assert await call(bind_text(prompt)[0], n="5") == (5, "short")


async def test_a_method_keeps_its_object() -> None:
    class Shop:
        def __init__(self) -> None:
            self.sold = 0

        def sell(self, n: int) -> int:
            self.sold += n
            return self.sold

    shop = Shop()
    bound, _ = bind_json(shop.sell, inline=True)
    assert (await call(bound, n=2), await call(bound, n=3), shop.sold) == (2, 5, 5)

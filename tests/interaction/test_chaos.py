"""Clients that go away at the worst moment: nothing of them is left, neither task nor session nor stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from mcpkit.client import Change, ClientError, MCPClient, Patience, Pauses
from tests.interaction.conftest import Connect, Front
from tests.interaction.offers import SECONDS
from tests.interaction.requirements import proves
from tests.interaction.ways import Way

HASTY: Any = {"patience": Patience(pauses=Pauses(first=0.01, most=0.1))}


def census(connect: Connect) -> dict[str, int]:
    """What there is of everything that a client can leave behind."""
    return {
        "sessions": connect.store.count,
        "requests": connect.front.open,
        "listeners": connect.server.subscriptions.open,
    }


@asynccontextmanager
async def nothing_left(connect: Connect) -> AsyncIterator[None]:
    """Fail when the block leaves something behind. One task of sse-starlette lives as long as the event loop."""
    await connect.front.calm()
    tasks, before = asyncio.all_tasks(), census(connect)
    yield
    await connect.front.calm()
    late = {task for task in asyncio.all_tasks() - tasks if "_shutdown_watcher" not in repr(task.get_coro())}
    if late:
        _, stuck = await asyncio.wait(late, timeout=SECONDS)
        assert not stuck, f"tasks left behind: {stuck}"
    assert census(connect) == before


async def held(client: MCPClient, *, speaks: bool) -> asyncio.Task[Any]:
    """A call under way, which has or has not spoken."""
    spoken = asyncio.Event()
    options: Any = {"progress_handler": lambda progress: spoken.set()} if speaks else {}
    call = asyncio.create_task(client.call_tool("hold", {"name": "it"}, **options))
    assert (await client.call_tool("fate", {"name": "it"})).text == "begun"
    if speaks:
        await spoken.wait()
    return call


async def fate(connect: Connect) -> str:
    """What became of the call, told to somebody else."""
    async with connect() as witness:
        return (await witness.call_tool("fate", {"name": "it"})).text


@proves("CANC-06", over=("http",))
@pytest.mark.parametrize("speaks", [False, True])
async def test_who_goes_has_cancelled(connect: Connect, front: Front, speaks: bool) -> None:
    async with nothing_left(connect), connect(**HASTY) as client:
        call = await held(client, speaks=speaks)
        front.unplug()
        assert await fate(connect) == "cancelled"
        with pytest.raises(ClientError):
            await call


@proves("CANC-09", over=("http",))
async def test_who_only_lost_the_line_has_not(connect: Connect, front: Front) -> None:
    async with nothing_left(connect), connect(**HASTY) as client:
        call = await held(client, speaks=False)
        front.unplug()
        with pytest.raises(ClientError):
            await call
        async with connect() as witness:
            await witness.call_tool("release", {"name": "it"})
        assert await fate(connect) == "released"


@proves("SHL-30", over=("http",))
async def test_who_comes_back_gets_the_rest(connect: Connect, front: Front) -> None:
    async with nothing_left(connect), connect(**HASTY) as client:
        call = await held(client, speaks=True)
        front.unplug()
        async with connect() as witness:
            await witness.call_tool("release", {"name": "it"})
        assert (await call).text == "it was released"


@proves("SHL-46", over=("http",))
@pytest.mark.parametrize("speaks", [False, True])
async def test_deleting_a_session_ends_its_calls(connect: Connect, speaks: bool) -> None:
    async with nothing_left(connect):
        async with connect(**HASTY) as client:
            call = await held(client, speaks=speaks)
            assert connect.store.count == 1
        with suppress(ClientError, asyncio.CancelledError):
            await call
        assert await fate(connect) == "cancelled"


@proves("HSSE-11", over=("sse",))
@pytest.mark.parametrize("speaks", [False, True])
async def test_the_end_of_the_stream_is_the_end_of_everything(connect: Connect, front: Front, speaks: bool) -> None:
    async with nothing_left(connect), connect(**HASTY) as client:
        call = await held(client, speaks=speaks)
        front.unplug()
        assert await fate(connect) == "cancelled"
        with pytest.raises(ClientError):
            await call


@proves("CANC-03", over=("memory", "stdio"))
async def test_closing_ends_what_is_under_way(connect: Connect) -> None:
    async with nothing_left(connect):
        async with connect() as client:
            call = await held(client, speaks=True)
        with pytest.raises(ClientError):
            await call


@proves("ELIC-10", "MRTR-13", over=("memory", "http", "sse"))
async def test_going_instead_of_answering(connect: Connect, way: Way) -> None:
    """Between two rounds nothing is held; a question that was sent ends with its session."""
    asked, never = asyncio.Event(), asyncio.Event()

    async def answer(question: Any) -> None:
        asked.set()
        await never.wait()

    async with nothing_left(connect):
        async with connect(elicitation_handler=answer, **HASTY) as client:
            call = asyncio.create_task(client.call_tool("book", {"city": "Rome"}))
            await asked.wait()
            if way.is_http:
                connect.front.unplug()
        call.cancel()
        with suppress(ClientError, asyncio.CancelledError):
            await call


@proves("SUB-07")
async def test_a_listener_goes(connect: Connect) -> None:
    async with nothing_left(connect):
        async with connect(**HASTY) as client:
            changes = client.listen(tools=True)
            await changes.__aenter__()
            await client.call_tool("change", {"kind": "tools", "how": "add"})
            assert await anext(changes) == Change("tools")
            if connect.way.is_http:
                connect.front.unplug()
        await changes.close()


@proves("CAP-09", over=("http",))
async def test_who_listens_again_is_told_that_something_may_have_gone_by(connect: Connect, way: Way) -> None:
    async with nothing_left(connect), connect(**HASTY) as client, client.listen(tools=True) as changes:
        connect.front.unplug()
        async with connect() as other:
            await other.call_tool("change", {"kind": "tools", "how": "add"})
        change = await anext(changes)
    assert change.kind == "tools"


@proves("TIME-01", over=("memory", "http", "sse"))
async def test_many_who_give_up_leave_nothing(connect: Connect) -> None:
    async with nothing_left(connect), connect(**HASTY) as client:
        calls = [client.call_tool("hold", {"name": "it"}, timeout=0.05) for _ in range(20)]
        assert all(isinstance(end, ClientError) for end in await asyncio.gather(*calls, return_exceptions=True))

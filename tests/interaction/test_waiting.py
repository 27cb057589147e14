"""Calls that take their time: cancelled, given up, many at once."""

from __future__ import annotations

import asyncio

import pytest

from mcpkit.client import MCPClient, Timeout
from tests.interaction.conftest import Connect
from tests.interaction.requirements import proves


async def fate(client: MCPClient) -> str:
    """What happened next to the call that is held."""
    return (await client.call_tool("fate", {"name": "it"})).text


@proves("CANC-01", "CANC-03")
async def test_a_cancelled_call_really_stops(connect: Connect) -> None:
    async with connect() as client:
        call = asyncio.create_task(client.call_tool("hold", {"name": "it"}))
        assert await fate(client) == "begun"
        call.cancel()
        assert await fate(client) == "cancelled"
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"


@proves("CANC-01", "CANC-03")
async def test_a_call_that_has_spoken_is_cancelled_too(connect: Connect) -> None:
    begun = asyncio.Event()
    async with connect() as client:
        call = asyncio.create_task(
            client.call_tool("hold", {"name": "it"}, progress_handler=lambda progress: begun.set())
        )
        await begun.wait()
        call.cancel()
        assert [await fate(client), await fate(client)] == ["begun", "cancelled"]


@proves("TIME-01")
async def test_a_client_gives_up_and_the_server_stops(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(Timeout):
            await client.call_tool("hold", {"name": "it"}, timeout=0.05)
        assert [await fate(client), await fate(client)] == ["begun", "cancelled"]


@proves("CANC-08")
async def test_cancelling_what_is_over_or_never_was_is_ignored(connect: Connect) -> None:
    async with connect() as client:
        for params in ({"requestId": "never"}, {"requestId": 1}, {}, {"requestId": None}):
            await client.notify("notifications/cancelled", params)
        assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"


@proves("RPC-06", "STDIO-12")
async def test_a_hundred_calls_are_answered_to_their_callers(connect: Connect) -> None:
    async with connect() as client:
        calls = [client.call_tool("meet", {"number": number, "of": 100}) for number in range(100)]
        results = await asyncio.gather(*calls)
    assert [result.text for result in results] == [str(number) for number in range(100)]


@proves("STDIO-12")
async def test_a_slow_call_holds_up_nobody(connect: Connect) -> None:
    async with connect() as client:
        call = asyncio.create_task(client.call_tool("hold", {"name": "it"}))
        assert await fate(client) == "begun"
        assert len(await client.list_tools()) > 8
        await client.call_tool("release", {"name": "it"})
        assert (await call).text == "it was released"

"""Our client and others' servers when something breaks: kill -9 and a new start, a cut, a peer that stands still."""

from __future__ import annotations

import asyncio

import pytest

from mcpkit import MCPClient
from mcpkit.client import Change, ConnectionLost, Timeout
from mcpkit.client.limits import Bounds, Patience, Pauses
from tests.real.conftest import SECONDS
from tests.real.others import Way, listening

pytestmark = [pytest.mark.node, pytest.mark.slow]
WAYS = [
    ("sdk1", "http", "auto"),
    ("sdk1", "sse", "auto"),
    ("server2", "http", "auto"),
    ("server2", "http", "legacy"),
    ("mcp2", "http", "auto"),
    ("fastmcp", "http", "legacy"),  # in the newest revision it has no listen streams
]
PATIENT = Patience(bounds=Bounds(attempts=400), pauses=Pauses(first=0.25, most=0.25))


@pytest.mark.parametrize(("name", "kind", "mode"), WAYS)
async def test_a_server_that_was_killed_and_is_back(name: str, kind: str, mode: str) -> None:
    """The next call opens a new session by itself, and a listener hears what it may have missed."""
    async with asyncio.timeout(SECONDS):
        with listening(name, kind) as other:
            async with (
                MCPClient(other.target(), mode=mode, patience=PATIENT) as client,
                client.listen(tools=True) as changes,
            ):
                assert (await client.call_tool("add", {"a": 1, "b": 1})).text == "2"
                await asyncio.to_thread(other.kill)
                await asyncio.to_thread(other.start)
                assert (await client.call_tool("add", {"a": 2, "b": 2})).text == "4"
                assert await anext(changes) == Change("tools", missed=True)
                assert "add" in {tool.name for tool in await client.list_tools()}


@pytest.mark.parametrize(("name", "kind", "mode"), WAYS[:3])
async def test_a_way_that_is_cut_and_held_up(name: str, kind: str, mode: str) -> None:
    """A call underway fails as one that may be repeated, a silent one in time; the next one works."""
    async with asyncio.timeout(SECONDS):
        with listening(name, kind) as other:
            async with Way(other.port) as way, MCPClient(other.target(way.port), mode=mode, patience=PATIENT) as client:
                assert (await client.call_tool("add", {"a": 1, "b": 1})).text == "2"
                begun = asyncio.Event()
                slow = asyncio.create_task(client.call_tool("wait", progress_handler=lambda progress: begun.set()))
                await begun.wait()
                way.cut()
                with pytest.raises(ConnectionLost) as lost:
                    await slow
                assert lost.value.retryable
                assert (await client.call_tool("add", {"a": 2, "b": 2})).text == "4"
                way.free.clear()
                with pytest.raises(Timeout):
                    await client.call_tool("add", {"a": 3, "b": 3}, timeout=0.2)
                way.free.set()
                assert (await client.call_tool("add", {"a": 4, "b": 4})).text == "8"

"""Our client on servers of the TypeScript SDK 1.x and of the server package 2.x, over every transport they have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcpkit import MCPClient
from mcpkit.client import Change, Progress, ServerRefused, Timeout, ToolFailed
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from tests.client.scripted import until
from tests.real.conftest import SECONDS
from tests.real.others import command, listening

pytestmark = pytest.mark.node
WAYS = [
    ("sdk1", "stdio", "auto", NEWEST_HANDSHAKE),
    ("sdk1", "http", "auto", NEWEST_HANDSHAKE),
    ("sdk1", "sse", "auto", NEWEST_HANDSHAKE),
    ("server2", "stdio", "auto", NEWEST),
    ("server2", "stdio", "legacy", NEWEST_HANDSHAKE),
    ("server2", "http", "auto", NEWEST),
    ("server2", "http", "legacy", NEWEST_HANDSHAKE),
]
BIG = 5 * 1024 * 1024


@asynccontextmanager
async def connected(name: str, kind: str, mode: str, **options: Any) -> AsyncIterator[MCPClient]:
    """A client of such a server, in any of its forms."""
    options["elicitation_handler"] = lambda asked: {"value": f"{asked.message} Fine."}
    options["sampling_handler"] = lambda asked: f"A thought about {asked.messages[0]['content']['text']}."
    if kind == "stdio":
        (program, *words), environment = command(name, kind)
        async with MCPClient({"command": program, "args": words, "env": environment}, mode=mode, **options) as client:
            yield client
    else:
        with listening(name, kind) as other:
            async with MCPClient(other.target(), mode=mode, **options) as client:
                yield client


@pytest.mark.parametrize(("name", "kind", "mode", "revision"), WAYS)
async def test_everything_they_offer(name: str, kind: str, mode: str, revision: Any) -> None:
    """TCLI-01, DCLI-01, SUB-01, LSUB-01: listed, called, read; asked, and told of changes, by the revision's way."""
    heard: list[Progress] = []
    async with asyncio.timeout(SECONDS), connected(name, kind, mode) as client:
        assert client.protocol_version == revision.name
        assert client.server_info.name == name
        assert {"add", "ask", "count"} <= {tool.name for tool in await client.list_tools()}
        answers = await asyncio.gather(*(client.call_tool("add", {"a": number, "b": 3}) for number in range(20)))
        assert [answer.text for answer in answers] == [str(number + 3) for number in range(20)]
        await client.call_tool("count", {"to": 3}, progress_handler=heard.append)
        assert [(step.progress, step.total, step.message) for step in heard] == [
            (number, 3, f"number {number}") for number in (1, 2, 3)
        ]
        assert (await client.call_tool("ask", {"question": "How?"})).text == "How? Fine."
        assert (await client.call_tool("think", {"about": "it"})).text == "A thought about it."
        assert len((await client.call_tool("big", {"size": BIG})).text) == BIG
        assert (await client.read_resource("memo://hello")).text == "hello"
        assert (await client.get_prompt("greet", {"name": "Ada"})).messages[0].content.text == "Greet Ada."
        with pytest.raises(ToolFailed, match="no"):
            await client.call_tool("fail")
        with pytest.raises((ServerRefused, ToolFailed)):
            await client.call_tool("nonsense")
        with pytest.raises(Timeout):
            await client.call_tool("slow", timeout=0.2)
        assert await client.ping() >= 0
        async with client.listen(tools=True) as changes:
            await client.call_tool("grow")
            assert await anext(changes) == Change("tools")
        assert "grown" in {tool.name for tool in await client.list_tools()}


@pytest.mark.parametrize("name", ["sdk1", "server2"])
async def test_a_child_that_is_killed_is_started_again(name: str) -> None:
    """STDIO-43: kill -9, and a listener is told what it may have missed."""
    missed: list[Change] = []
    async with asyncio.timeout(SECONDS), connected(name, "stdio", "auto", change_handler=missed.append) as client:
        assert (await client.call_tool("add", {"a": 1, "b": 1})).text == "2"
        first = client._core.live
        assert first is not None
        first.transport._process.kill()  # type: ignore[attr-defined]
        await until(lambda: first.lost is not None)
        assert (await client.call_tool("add", {"a": 2, "b": 2})).text == "4"
        await until(lambda: any(change.missed for change in missed))

"""Our client on servers written with mcp 1.x, mcp 2.x and fastmcp, over every transport they have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mcpkit import MCPClient
from mcpkit.client import Progress, ServerRefused, ToolFailed
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES
from tests.real.conftest import SECONDS
from tests.real.others import PYTHON, command, listening


@contextmanager
def serving(sdk: str, kind: str) -> Iterator[Any]:
    """What to tell our client."""
    if kind == "stdio":
        yield command(sdk, kind)[0]
        return
    with listening(sdk, kind) as other:
        yield other.target()


@pytest.mark.parametrize("kind", ["http", "sse", "stdio"])
@pytest.mark.parametrize("sdk", PYTHON)
async def test_our_client_on_others_servers(sdk: str, kind: str) -> None:
    heard: list[Progress] = []
    with serving(sdk, kind) as target:
        async with (
            asyncio.timeout(SECONDS),
            MCPClient(target, elicitation_handler=lambda asked: {"value": f"{asked.message} Fine."}) as client,
        ):
            assert {"add", "ask"} <= {tool.name for tool in await client.list_tools()}
            assert (await client.call_tool("add", {"a": 5, "b": 3})).data == 8
            await client.call_tool("count", {"to": 2}, progress_handler=heard.append)
            assert [(step.progress, step.total) for step in heard] == [(1, 2), (2, 2)]
            if client.protocol_version in HANDSHAKE_NAMES:  # in the newest revision theirs can't ask from within
                assert (await client.call_tool("ask", {"question": "How?"})).text == "How? Fine."
            with pytest.raises(ToolFailed):
                await client.call_tool("fail")
            with pytest.raises((ServerRefused, ToolFailed)):
                await client.call_tool("nonsense")
            assert (await client.read_resource("memo://hello")).text == "hello"
            prompt = await client.get_prompt("greet", {"name": "Ada"})
            assert prompt.messages[0].content.text == "Greet Ada."

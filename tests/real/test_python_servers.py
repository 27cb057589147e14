"""Our client on servers written with mcp 1.x, mcp 2.x and fastmcp, over every transport they have."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mcpkit import MCPClient
from mcpkit.client import Progress, ServerRefused, ToolFailed
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES
from tests.conftest import ROOT, peer
from tests.real.conftest import SECONDS, drain

SERVER = str(ROOT / "tests" / "peers" / "sdk_server.py")
SDKS = ["mcp1", "mcp2", "fastmcp"]
PATHS = {"http": "/mcp", "sse": "/sse"}


@contextmanager
def serving(sdk: str, kind: str) -> Iterator[Any]:
    """What to tell our client."""
    python = str(peer(sdk))
    if kind == "stdio":
        yield [python, SERVER, sdk, kind, "0"]
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([python, SERVER, sdk, kind, str(port)], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "running on" in line:
                break
        else:
            pytest.fail(f"{sdk} did not start")
        drain(process.stderr)
        yield {"type": "streamable-http" if kind == "http" else "sse", "url": f"http://127.0.0.1:{port}{PATHS[kind]}"}
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


@pytest.mark.parametrize("kind", ["http", "sse", "stdio"])
@pytest.mark.parametrize("sdk", SDKS)
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

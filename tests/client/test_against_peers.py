"""Servers that others wrote: the official SDK's, old and new, and FastMCP's, over every transport they have."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcpkit.client import MCPClient, Timeout, ToolFailed, Unreachable
from mcpkit.client.errors import ConnectionLost
from tests.client.scripted import HANDSHAKE, MODERN
from tests.conftest import ROOT, peer

PEERS = ["mcp1", "mcp2", "fastmcp"]
SECONDS = 50
SPEAKS = {"mcp1": HANDSHAKE, "mcp2": MODERN, "fastmcp": MODERN}


@asynccontextmanager
async def server(name: str, transport: str) -> AsyncIterator[Any]:
    """A target for the client: a command, or the URL of a process that listens."""
    script = [str(peer(name)), str(ROOT / "tests/fixtures/peer_server.py"), transport]
    if transport == "stdio":
        yield script
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(*script, str(port), **quiet)  # type: ignore[arg-type]
    try:
        await _listening(port)
        yield f"http://127.0.0.1:{port}/{'sse' if transport == 'sse' else 'mcp'}"
    finally:
        process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["stdio", "streamable-http", "sse"])
@pytest.mark.parametrize("name", PEERS)
async def test_everything_they_offer(name: str, transport: str) -> None:
    """TCLI-01, TCLI-02, DCLI-01: the newest they speak, over what they speak it."""
    progress: list[float] = []
    told: Any = {"progress_handler": lambda report: progress.append(report.progress)}
    async with asyncio.timeout(SECONDS), server(name, transport) as target, MCPClient(target, **told) as client:
        assert client.protocol_version == (HANDSHAKE if transport == "sse" else SPEAKS[name])
        assert {"add", "fail", "steps"} <= {tool.name for tool in await client.list_tools()}
        assert (await client.call_tool("add", {"a": 2, "b": 3})).data == 5
        with pytest.raises(ToolFailed):
            await client.call_tool("fail")
        assert (await client.call_tool("steps")).text == "done"
        assert progress == [1, 2, 3]
        assert len((await client.call_tool("big", {"size": 5 * 1024 * 1024})).text) == 5 * 1024 * 1024
        assert (await client.read_resource("res://fixed")).text == "hello"
        assert (await client.read_resource("res://x/detail")).text == "x"
        assert (await client.list_resource_templates())[0].uri_template == "res://{name}/detail"
        assert "Ada" in (await client.get_prompt("greet", {"who": "Ada"})).messages[0].content.text
        with pytest.raises(Timeout):
            await client.call_tool("slow", timeout=0.2)
        answers = await asyncio.gather(*(client.call_tool("add", {"a": n, "b": 0}) for n in range(50)))
        assert [answer.data for answer in answers] == list(range(50))
        assert await client.ping() >= 0


@pytest.mark.slow
@pytest.mark.parametrize("name", PEERS)
async def test_a_child_that_is_killed_comes_back(name: str) -> None:
    """STDIO-43: kill -9; the next call starts it again."""
    async with asyncio.timeout(SECONDS), server(name, "stdio") as target, MCPClient(target) as client:
        assert (await client.call_tool("add", {"a": 1, "b": 1})).data == 2
        live = client._core.live
        assert live is not None
        live.transport._process.kill()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionLost):
            await client.call_tool("add", {"a": 1, "b": 1})
        assert (await client.call_tool("add", {"a": 2, "b": 2})).data == 4


async def test_a_peer_that_is_not_there() -> None:
    """A command that ends at once is told as such, in time."""
    async with asyncio.timeout(SECONDS):
        with pytest.raises((ConnectionLost, Unreachable)):
            await MCPClient(["true"]).connect()

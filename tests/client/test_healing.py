"""Our own server killed and started again under the client's feet."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpkit.client import Change, MCPClient, Unreachable
from mcpkit.client.errors import ConnectionLost
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from tests.client.scripted import HANDSHAKE, MODERN, soon, until
from tests.fixtures.started import ROOT, started

SECONDS = 50
PATIENT = Patience(bounds=Bounds(attempts=40), deadlines=Deadlines(goodbye=1.0), pauses=Pauses(first=0.25, most=0.25))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
@pytest.mark.parametrize(("path", "mode"), [("/api", MODERN), ("/api", HANDSHAKE), ("/sse", "auto")])
async def test_a_restarted_server(path: str, mode: str, tmp_path: Path) -> None:
    """Issue: re-initialize, re-list, re-subscribe; a caller makes the next call, a listener need not even that."""
    port = free_port()
    url = f"http://127.0.0.1:{port}{path}"
    async with asyncio.timeout(SECONDS):
        with started("mcp_server.py", "--port", str(port), cwd=tmp_path) as first:
            client = MCPClient(url, mode=mode, patience=PATIENT)
            await client.connect()
            assert (await client.call_tool("add", {"a": 1, "b": 2})).data == 3
            changes = await client.listen(tools=True).__aenter__()
            await asyncio.to_thread(first.end, signal.SIGKILL)
        with started("mcp_server.py", "--port", str(port), cwd=tmp_path):
            assert await anext(changes) == Change("tools", missed=True)
            assert (await client.call_tool("add", {"a": 2, "b": 2})).data == 4
            assert len(await client.list_tools()) > 5
            await changes.close()
            await client.close()


@pytest.mark.slow
async def test_a_server_that_stays_away(tmp_path: Path) -> None:
    """A clear error, in bounded time, that says that trying again may help."""
    port = free_port()
    hasty = Patience(bounds=Bounds(attempts=3), pauses=Pauses(first=0.01, most=0.01))
    async with asyncio.timeout(SECONDS):
        with started("mcp_server.py", "--port", str(port), cwd=tmp_path) as server:
            client = MCPClient(f"http://127.0.0.1:{port}/api", patience=hasty)
            await client.connect()
            await asyncio.to_thread(server.end, signal.SIGKILL)
        with pytest.raises((Unreachable, ConnectionLost)) as caught:
            await client.call_tool("add", {"a": 1, "b": 2})
        assert caught.value.retryable
        await client.close()


@pytest.mark.slow
async def test_a_child_that_is_killed(tmp_path: Path) -> None:
    """STDIO-43: started again; what was underway is reported, what comes next works."""
    command: dict[str, Any] = {
        "command": sys.executable,
        "args": [str(ROOT / "mcp_server.py"), "--stdio"],
        "cwd": str(tmp_path),
    }
    async with asyncio.timeout(SECONDS), MCPClient(command, patience=PATIENT) as client:
        await client.list_tools()
        for turn in range(3):
            live = client._core.live
            assert live is not None
            os.kill(live.transport._process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
            await until(lambda live=live: live.lost is not None)  # type: ignore[misc]
            assert (await soon(client.call_tool("add", {"a": turn, "b": 1}))).data == turn + 1

"""A small server to be served by FastAPI, and an application kept alive as a server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcpkit import Context, Server
from tests.transports.asgi_client import request

CALL = request("tools/call", {"name": "who"})
SLASHES = ["/api", "/api/"]


def make_server(log: list[str] | None = None) -> Server:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[dict[str, str]]:
        (log if log is not None else []).append("up")
        yield {"db": "open"}
        (log if log is not None else []).append("down")

    server = Server("house", "1.2.3", lifespan=lifespan)

    @server.tool
    async def who(context: Context) -> str:
        """Say who calls."""
        return context.principal.id if context.principal else "nobody"

    return server


def text(answer: Any) -> str:
    value = answer.json["result"]["content"][0]["text"]
    assert isinstance(value, str)
    return value


@asynccontextmanager
async def alive(app: Any) -> AsyncIterator[None]:
    """Run the application's lifespan as a server does."""
    incoming: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outgoing: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, incoming.get, outgoing.put))
    async with asyncio.timeout(10):
        incoming.put_nowait({"type": "lifespan.startup"})
        assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        async with asyncio.timeout(10):
            incoming.put_nowait({"type": "lifespan.shutdown"})
            assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
            await task

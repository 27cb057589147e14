"""A client straight into a server, in memory, in a revision and under settings of the test's choice.

What must never stand here: a shortcut that a real wire would not allow (the messages are bytes, the rules stdio's).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Unpack

from mcpkit.client import MCPClient
from mcpkit.client.options import ClientOptions
from mcpkit.server import Server
from mcpkit.settings import Settings
from mcpkit.transports.memory import Memory


@asynccontextmanager
async def connect(
    server: Server, *, revision: str = "auto", settings: Settings | None = None, **options: Unpack[ClientOptions]
) -> AsyncIterator[MCPClient]:
    """A connected client of ``server``: ``async with connect(server) as client``, as ``MCPClient(server)`` is too.

    ``revision`` forces one protocol revision; ``settings`` are the server's; the options are those of the client
    (handlers, timeouts …). The server's lifespan runs around it. Raises: ClientError when they can't agree.
    """

    if settings is not None:
        server.configure(settings)

    def pipe() -> Memory:
        return Memory(server.kernel, settings=settings, around=server.running)

    async with MCPClient(pipe, mode=revision, **options) as client:
        yield client

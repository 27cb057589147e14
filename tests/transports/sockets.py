"""A real server on a real socket in this event loop, and raw connections to it.

What must never stand here: an HTTP client that repairs or hides what goes over the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from mcpkit.run import listen
from mcpkit.settings import Settings
from mcpkit.transports.listener import Deadlines, bounded_protocol
from mcpkit.transports.program import HttpProgram

SECONDS = 10.0


class Connection:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def post(self, message: Any, *headers: str, path: str = "/api", body: bytes | None = None) -> None:
        """Send a whole POST."""
        data = orjson.dumps(message) if body is None else body
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(data)}"]
        lines += ["Content-Type: application/json", "Accept: application/json, text/event-stream", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    async def until(self, mark: bytes) -> bytes:
        """Everything up to and with ``mark``."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.readuntil(mark)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """One response with a content-length."""
        head = (await self.until(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        async with asyncio.timeout(SECONDS):
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    def close(self) -> None:
        """Go away."""
        self.writer.close()

    def reset(self) -> None:
        """Go away rudely."""
        self.writer.transport.abort()


class Place:
    """A server that listens."""

    def __init__(self, program: HttpProgram, port: int) -> None:
        self.program = program
        self.port = port
        self._connections: list[Connection] = []

    async def connect(self) -> Connection:
        """A new connection to it."""
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self.port))
        self._connections.append(connection)
        return connection

    async def leave(self) -> None:
        """Drop every connection."""
        for connection in self._connections:
            connection.reset()
        await asyncio.sleep(0)

    async def ask(self, message: Any, *headers: str) -> Any:
        """POST on a connection of its own; the JSON answer."""
        connection = await self.connect()
        connection.post(message, *headers)
        _, _, body = await connection.answer()
        connection.close()
        return orjson.loads(body)


@asynccontextmanager
async def serving(app: Any, settings: Settings | None = None, *, http: str = "auto") -> AsyncIterator[Place]:
    """Serve ``app`` on a free port; at the end it has stopped gracefully."""
    settings = settings or Settings()
    started = asyncio.Event()
    program = HttpProgram(app, settings, started.set)
    program.config.http = bounded_protocol(Deadlines.of(settings), http=http)
    listening = listen("127.0.0.1", 0)
    task = asyncio.ensure_future(program.serve(sockets=[listening]))
    async with asyncio.timeout(SECONDS):
        await started.wait()
    place = Place(program, listening.getsockname()[1])
    try:
        yield place
    finally:
        await place.leave()
        program.stop()
        async with asyncio.timeout(2 * SECONDS):
            await task

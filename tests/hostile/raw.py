"""Raw bytes to the whole application on a real socket, whichever parser it uses, and what comes back.

What must never stand here: an HTTP client that repairs what it sends.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from mcpkit import Context, Server
from mcpkit.fastapi import create_app
from mcpkit.settings import Settings
from tests.transports.sockets import Place, serving

PARSERS = ("httptools", "h11")
SECONDS = 10.0
BODY = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
HEAD = b"POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
INSIDES = re.compile(rb"Traceback|File \"|/site-packages|object at 0x|\.py\b")
LIMITS = Settings(header_seconds=1.0, body_silence_seconds=1.0)


@dataclass(frozen=True)
class Said:
    """Everything that came back on one connection."""

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]

    def check(self) -> None:
        """Never a 5xx of our own making, never anything of our insides."""
        assert not [status for status in self.statuses if status >= 500 and status not in {501, 503, 505}], self.data
        assert not INSIDES.search(self.data), self.data


def house() -> Server:
    """A server with a tool that is quick, one that waits, one that fails."""
    server = Server("house", "1")

    @server.tool
    async def echo(text: str) -> str:
        """Say it again."""
        return text

    @server.tool
    async def sleep(seconds: float, ctx: Context) -> str:
        """Wait."""
        await ctx.report_progress(0)
        await asyncio.sleep(seconds)
        return "slept"

    @server.tool
    async def broken() -> str:
        """Fail, with a path in the message."""
        raise RuntimeError("/etc/secret could not be read")

    @server.resource("notes://{name}")
    async def note(name: str) -> str:
        return name

    return server


@asynccontextmanager
async def standing(parser: str, settings: Settings = LIMITS, **options: Any) -> AsyncIterator[Place]:
    """The application, listening."""
    async with serving(create_app(house(), settings, **options), settings, http=parser) as place:
        yield place


async def tell(place: Place, *pieces: bytes) -> Said:
    """Send bytes, then a request that must be answered wherever the connection is still open; all that came back."""
    connection = await place.connect()
    for piece in pieces:
        connection.send(piece)
    got, closed = b"", False
    try:
        async with asyncio.timeout(2.5):
            while not closed:
                chunk = await connection.reader.read(65536)
                got, closed = got + chunk, not chunk
                if _whole(got):
                    break
    except (TimeoutError, ConnectionResetError):
        closed = closed or connection.reader.at_eof()
    if not closed and b"connection: close" in got.lower():
        async with asyncio.timeout(SECONDS):
            closed = not await connection.reader.read()
    connection.reset()
    return Said(got, closed)


def _whole(data: bytes) -> bool:
    """Whether one response with a length has come."""
    head, mark, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(mark and length and len(body) >= int(length[1]))


def call(name: str, id: Any = 1, **arguments: Any) -> bytes:
    """A tool call's body."""
    params = {"name": name, "arguments": arguments, "_meta": {"progressToken": "t"}}
    return orjson.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})


def post(body: bytes, *fields: str, path: str = "/api") -> bytes:
    """A whole POST."""
    lines = [f"POST {path} HTTP/1.1", *fields, f"Content-Length: {len(body)}"]
    names = {field.partition(":")[0].lower() for field in fields}
    lines += [] if "host" in names else ["Host: 127.0.0.1"]
    lines += [] if "content-type" in names else ["Content-Type: application/json"]
    lines += [] if "accept" in names else ["Accept: application/json, text/event-stream"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

"""What is offered in the dialogues, by name, and the doors through which they are spoken.

What must never stand here: what is said (the *.txt files).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from mcpkit import Context, Image, ResourceLink, Server, Settings, ToolAnnotations
from mcpkit.fastapi import create_app
from mcpkit.framing.ndjson import LineDecoder, encode_line
from mcpkit.framing.sse import EventDecoder
from mcpkit.transports.duplex import Duplex
from mcpkit.transports.memory import MemoryPipe

SECONDS = 10.0
VERSION = "io.modelcontextprotocol/protocolVersion"


# ── what is offered ──────────────────────────────────────────────────────────────────────────────────────────────────


def add(server: Server) -> None:
    """A tool with a number for a result."""

    @server.tool(title="Adder", annotations=ToolAnnotations(read_only=True))
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b


def show(server: Server) -> None:
    """A tool with a picture and a link for a result."""

    @server.tool
    def show() -> list[Image | ResourceLink]:
        """Show something."""
        return [Image(b"GIF89a", mime_type="image/gif"), ResourceLink("memo://hello", "hello")]


def count(server: Server) -> None:
    """A tool that reports progress and logs."""

    @server.tool
    async def count(to: int, ctx: Context) -> str:
        """Count."""
        for number in range(1, to + 1):
            await ctx.report_progress(number, to, f"number {number}")
        await ctx.info("done", logger="counter")
        return "counted"


def ask(server: Server) -> None:
    """A tool that asks the user, and one that asks the model."""

    @server.tool
    async def order(ctx: Context) -> str:
        """Ask for a drink."""
        answer = await ctx.elicit("What will it be?", str, key="drink")
        return f"One {answer.data}." if answer else "Nothing."

    @server.tool
    async def write(ctx: Context) -> str:
        """Have the model write."""
        return (await ctx.sample("A word.", max_tokens=5, key="word")).text


def memo(server: Server) -> None:
    """A resource and a template."""

    @server.resource("memo://hello", mime_type="text/plain")
    def hello() -> str:
        """Say hello."""
        return "hello"

    @server.resource("memo://{name}/text", mime_type="text/plain")
    def text(name: str) -> str:
        """The text of a memo."""
        return f"about {name}"


def greet(server: Server) -> None:
    """A prompt."""

    @server.prompt(title="Greeting")
    def greet(name: str) -> str:
        """Greet someone."""
        return f"Greet {name}."


FEATURES: dict[str, Callable[[Server], None]] = {
    "add": add,
    "show": show,
    "count": count,
    "ask": ask,
    "memo": memo,
    "greet": greet,
}


def staged(features: list[str]) -> Server:
    """A server with these features."""
    server = Server("theatre", "1.0", title="Theatre", instructions="Enjoy the play.")
    for feature in features:
        FEATURES[feature](server)
    return server


# ── the doors ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Door:
    """A conversation with a server: messages out, messages in, in the order in which they come."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    async def say(self, message: Any) -> None:
        """Send one message."""

    async def close(self) -> None:
        """End the conversation."""

    async def hear(self) -> Any:
        """The next message of the server."""
        return await asyncio.wait_for(self.heard.get(), SECONDS)


class MemoryDoor(Door):
    """Whole messages."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.pipe = MemoryPipe(server.kernel, lambda data: self.heard.put_nowait(json.loads(data)), lambda: None)

    async def say(self, message: Any) -> None:
        """Send one message."""
        self.pipe.send(json.dumps(message).encode())

    async def close(self) -> None:
        """End the conversation."""
        await self.pipe.close()


class LineDoor(Door):
    """Lines, in pieces as a pipe may deliver them."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.there, self.back = LineDecoder(1 << 20), LineDecoder(1 << 20)
        self.duplex = Duplex(server.kernel, self, Settings())

    async def say(self, message: Any) -> None:
        """Send one message."""
        data = encode_line(json.dumps(message).encode())
        loop = asyncio.get_running_loop()
        for piece in (data[:7], data[7:]):
            loop.call_soon(self.duplex.receive, self.there.feed(piece))

    def write(self, message: bytes) -> None:
        """Take what the server writes."""
        for line in self.back.feed(encode_line(message)):
            assert isinstance(line, bytes)
            self.heard.put_nowait(json.loads(line))

    async def drained(self) -> None:
        """This client reads at once."""

    async def close(self) -> None:
        """End the conversation."""
        self.duplex.close()
        await self.duplex.gone(SECONDS)


@dataclass
class _Exchange:
    """One POST: its answer as JSON or as events."""

    door: PostDoor
    body: bytes
    kind: str = ""
    data: bytes = b""

    def __post_init__(self) -> None:
        self.decoder = EventDecoder(1 << 20)
        self.sent = False
        self.gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def receive(self) -> Any:
        """The body, then silence."""
        if self.sent:
            return await self.gone
        self.sent = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, event: MutableMapping[str, Any]) -> None:
        """Take the head, or a part of the body."""
        if event["type"] == "http.response.start":
            headers = dict(event["headers"])
            self.kind = headers.get(b"content-type", b"").decode()
            self.door.session = headers.get(b"mcp-session-id", self.door.session)
            return
        self.data += event.get("body", b"")
        if self.kind.startswith("text/event-stream"):
            for message in self.decoder.feed(event.get("body", b"")):
                if message.data:
                    self.door.heard.put_nowait(json.loads(message.data))
        elif not event.get("more_body") and self.data:
            self.door.heard.put_nowait(json.loads(self.data))


class PostDoor(Door):
    """A POST for each message, within a session where there is one."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.app = create_app(server)
        self.session = b""
        self.posts: list[asyncio.Task[None]] = []

    async def say(self, message: Any) -> None:
        """Send one message; what wants no answer is taken before the next one goes."""
        exchange = _Exchange(self, json.dumps(message).encode())
        scope = {
            "type": "http",
            "scheme": "http",
            "method": "POST",
            "path": "/api",
            "query_string": b"",
            "root_path": "",
        }
        scope |= {"headers": self._headers(message), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
        post = asyncio.ensure_future(self.app(scope, exchange.receive, exchange.send))
        self.posts.append(post)
        if isinstance(message, dict) and "id" not in message:
            await asyncio.wait_for(asyncio.shield(post), SECONDS)

    async def close(self) -> None:
        """End the conversation."""
        for post in self.posts:
            await asyncio.wait_for(post, SECONDS)

    def _headers(self, message: Any) -> list[tuple[bytes, bytes]]:
        headers = {"host": "localhost", "content-type": "application/json"}
        headers["accept"] = "application/json, text/event-stream"
        params = message.get("params", {}) if isinstance(message, dict) else {}
        version = params.get("_meta", {}).get(VERSION)
        if version is not None:
            headers |= {"mcp-protocol-version": version, "mcp-method": message["method"]}
            name = params.get("name", params.get("uri"))
            headers |= {"mcp-name": name} if name is not None else {}
        elif self.session:
            headers["mcp-session-id"] = self.session.decode()
        return [(name.encode(), value.encode()) for name, value in headers.items()]


DOORS: dict[str, Callable[[Server], Door]] = {"memory": MemoryDoor, "stdio": LineDoor, "post": PostDoor}

"""Servers in memory that can be shut down and opened again, for tests of a host with many. Never a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mcpkit import Server, ToolAnnotations, ToolError
from mcpkit.client.errors import ConnectionLost, Unreachable
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from mcpkit.client.transports.transport import Lost, Receive
from mcpkit.host.config import Entry
from mcpkit.host.fleet import Fleet, Member
from mcpkit.transports.memory import Memory

LIMIT = 10.0
HASTE = Patience(
    deadlines=Deadlines(call=LIMIT, goodbye=1.0, listen=1.0, probe=1.0, handshake=1.0),
    pauses=Pauses(first=0.0, most=0.0),
    bounds=Bounds(attempts=2),
)
READS = ToolAnnotations(read_only=True)


@dataclass(eq=False)
class Site:
    """A server, and whether it can be reached."""

    server: Server
    up: bool = True
    pipes: list[Pipe] = field(default_factory=list)

    def entry(self, name: str) -> Entry:
        return Entry(name, lambda: Pipe(self))

    def go_down(self) -> None:
        """Break every connection and refuse new ones."""
        self.up = False
        for pipe in self.pipes:
            pipe.break_off()
        self.pipes.clear()


class Pipe(Memory):
    """A connection to a site."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.server.kernel)
        self._site = site
        self._lost: Lost | None = None

    async def open(self, receive: Receive, lost: Lost) -> None:
        if not self._site.up:
            raise Unreachable("nobody is there")
        await super().open(receive, lost)
        self._lost = lost
        self._site.pipes.append(self)

    def break_off(self) -> None:
        assert self._lost is not None
        assert self._duplex is not None
        error = ConnectionLost("the connection broke")
        self._duplex.fail(error)
        self._lost(error)


def math_server() -> Server:
    """What examples/math_server.py offers, two of the four."""
    server = Server("math")

    @server.tool(annotations=READS)
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool(annotations=READS)
    def divide(a: int, b: int) -> float:
        """Divide the first by the second."""
        if b == 0:
            raise ToolError("Division by zero is not allowed")
        return a / b

    return server


def modulo_server() -> Server:
    """One tool, one prompt, one resource."""
    server = Server("modulo")

    @server.tool(annotations=READS)
    def modulo(a: int, b: int) -> int:
        """Give the remainder."""
        return a % b

    @server.prompt
    def explain(topic: str) -> str:
        """Ask for an explanation."""
        return f"Explain {topic}"

    @server.resource("text://rules")
    def rules() -> str:
        """What holds here."""
        return "No division by zero."

    return server


class Watching:
    """Hears of a fleet's members, and waits for one to be in some state."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, member: Member) -> None:
        self.seen.append((member.prefix, member.state.value, member.why))
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                self._news.clear()
                await self._news.wait()


def fleet_of(*sites: Site, heartbeat: float = 60.0, **options: Any) -> Fleet:
    names = ("math", "modulo", "third")
    entries = [site.entry(name) for site, name in zip(sites, names, strict=False)]
    return Fleet(entries, patience=HASTE, heartbeat=heartbeat, **options)

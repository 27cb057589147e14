"""A kernel with a few talkative methods, and the HTTP endpoint in front of it.

What must never stand here: features (a transport must work without them).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.kernel import Kernel
from mcpkit.protocol.errors import MissingClientCapability
from mcpkit.protocol.exchange import Exchange
from mcpkit.sessions.memory import MemoryStore
from mcpkit.settings import Settings
from mcpkit.transports.gate import Authenticate, Gate
from mcpkit.transports.streamable_http import McpEndpoint
from tests.transports.asgi_client import Wire, modern

PROGRESS = "notifications/progress"


@dataclass
class House:
    """The endpoint, and what its handlers have seen."""

    settings: Settings = field(default_factory=Settings)
    authenticate: Authenticate | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when ``wait`` has begun."""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets ``wait`` and ``speak`` go on."""
    cancelled: int = 0
    finished: int = 0
    heard: list[Exchange] = field(default_factory=list)
    seen: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kernel = Kernel({"name": "tester", "version": "1"})
        self.store = MemoryStore(most=self.settings.max_sessions, idle_seconds=self.settings.session_idle_seconds)
        register = self.kernel.register
        register("initialize", self._initialize)
        register("ping", self._ping)
        register("tools/call", self._call)
        register("subscriptions/listen", self._listen)
        self.kernel.on_notification("notifications/roots/list_changed", self._hear)
        self.endpoint = McpEndpoint(self.kernel, self.store, Gate(self.settings, self.authenticate), self.settings)
        self.wire = Wire(self.endpoint)

    async def _initialize(self, exchange: Exchange) -> JsonObject:
        if exchange.params.get("fail"):
            raise InvalidParams("refused on purpose")
        return {
            "protocolVersion": exchange.revision.name,
            "capabilities": {},
            "serverInfo": self.kernel.server_info,
        }

    async def _ping(self, exchange: Exchange) -> JsonObject:
        return {}

    async def _hear(self, exchange: Exchange) -> None:
        self.heard.append(exchange)

    async def _listen(self, exchange: Exchange) -> JsonObject:
        await exchange.notify("notifications/subscriptions/acknowledged", {"notifications": {}})
        await self._wait(exchange, {})
        return {}

    async def _call(self, exchange: Exchange) -> JsonObject:
        """``name`` says what the tool does."""
        self.seen.append(exchange)
        work: Any = getattr(self, "_" + str(exchange.params.get("name")), None)
        if work is None:
            raise InvalidParams("no such tool")
        text = await work(exchange, exchange.params.get("arguments", {}))
        self.finished += 1
        return {"content": [{"type": "text", "text": str(text)}]}

    async def _add(self, exchange: Exchange, arguments: JsonObject) -> Any:
        return arguments["a"] + arguments["b"]

    async def _wait(self, exchange: Exchange, arguments: JsonObject) -> str:
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "waited"

    async def _stubborn(self, exchange: Exchange, arguments: JsonObject) -> str:
        """Swallows its cancellation, as some tools do."""
        try:
            return await self._wait(exchange, arguments)
        except asyncio.CancelledError:
            return "never mind"

    async def _count(self, exchange: Exchange, arguments: JsonObject) -> str:
        """Speaks at once, all of it."""
        for number in range(arguments["n"]):
            await exchange.notify(PROGRESS, {"progressToken": "t", "progress": number})
        return "counted"

    async def _speak(self, exchange: Exchange, arguments: JsonObject) -> str:
        """Says one word, waits, says another."""
        await exchange.notify(PROGRESS, {"progressToken": "t", "progress": 1})
        await self._wait(exchange, arguments)
        await exchange.notify(PROGRESS, {"progressToken": "t", "progress": 2})
        return "spoken"

    async def _part(self, exchange: Exchange, arguments: JsonObject) -> str:
        """Ends the stream, not the call."""
        exchange.channel.close_stream(arguments.get("retry"))
        return await self._wait(exchange, arguments)

    async def _ask(self, exchange: Exchange, arguments: JsonObject) -> Any:
        return (await exchange.ask("elicitation/create", {"message": "Name?", "requestedSchema": {}}))["action"]

    async def _needs(self, exchange: Exchange, arguments: JsonObject) -> str:
        raise MissingClientCapability({"sampling": {}})

    async def _leave(self, exchange: Exchange, arguments: JsonObject) -> str:
        exchange.channel.hang_up()
        return "bye"

    async def _rubbish(self, exchange: Exchange, arguments: JsonObject) -> Any:
        class Unspeakable:
            def __str__(self) -> str:
                return "\ud800"

        return Unspeakable()


def house(**settings: Any) -> House:
    """A house with these settings."""
    return House(Settings(**settings))


def call(name: str, *, id: Any = 1, **arguments: Any) -> JsonObject:
    """A request to call a tool."""
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


PLAIN_SUM: Final = call("add", a=2, b=3)
NO_TOOL: Final = call("nothing")


def add(**meta: Any) -> tuple[JsonObject, dict[str, str | None]]:
    """A sum, asked for in the newest era: the message and its headers."""
    return modern("tools/call", {"name": "add", "arguments": {"a": 2, "b": 3}}, **meta)


def text(answer: Any) -> str:
    """What the tool said."""
    value = answer["result"]["content"][0]["text"]
    assert isinstance(value, str)
    return value

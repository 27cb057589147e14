"""A client's end of a pipe for tests: what it says goes into a Duplex, what it hears is kept.

What must never stand here: a process, a real file descriptor.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from mcpkit.framing.ndjson import Line
from mcpkit.kernel import Kernel
from mcpkit.protocol.envelope import META_CLIENT_CAPABILITIES, META_PROTOCOL_VERSION
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from mcpkit.transports.duplex import Duplex

ENVELOPE = {META_PROTOCOL_VERSION: NEWEST.name, META_CLIENT_CAPABILITIES: {}}
SECONDS = 5.0
CALL = "tools/call"


def request(id: Any, method: str, params: Any = None, **members: Any) -> dict[str, Any]:
    """A request of the handshake era."""
    message = {"jsonrpc": "2.0", "id": id, "method": method, **members}
    return message if params is None else {**message, "params": params}


def enveloped(id: Any, method: str, params: Any = None, **meta: Any) -> dict[str, Any]:
    """A request of the envelope era."""
    return request(id, method, {**(params or {}), "_meta": {**ENVELOPE, **meta}})


def notification(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """A notification."""
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})}


def initialize(id: Any = 0, version: str = NEWEST_HANDSHAKE.name, **capabilities: Any) -> dict[str, Any]:
    """The request that opens a session."""
    info = {"name": "tester", "version": "1"}
    return request(id, "initialize", {"protocolVersion": version, "capabilities": capabilities, "clientInfo": info})


def small_kernel() -> Kernel:
    """A kernel that can open sessions, and nothing else."""
    kernel = Kernel({"name": "server", "version": "1"})

    async def opened(exchange: Exchange) -> dict[str, Any]:
        return {"protocolVersion": exchange.revision.name, "capabilities": {}, "serverInfo": kernel.server_info}

    async def ping(exchange: Exchange) -> dict[str, Any]:
        return {}

    kernel.register("initialize", opened)
    kernel.register("ping", ping)
    return kernel


class Desk:
    """A kernel with one method whose handlers the test writes, and gates that it opens."""

    def __init__(self) -> None:
        self.kernel = small_kernel()
        self.seen: list[Exchange] = []
        self.log: list[Any] = []
        self.gates: dict[Any, asyncio.Future[Any]] = {}
        self.kernel.register(CALL, self.call)
        self.acts: dict[str, Callable[[Exchange], Any]] = {"echo": self.echo, "wait": self.wait}

    async def call(self, exchange: Exchange) -> dict[str, Any]:
        self.seen.append(exchange)
        result: dict[str, Any] = await self.acts[exchange.params["name"]](exchange)
        return result

    async def echo(self, exchange: Exchange) -> dict[str, Any]:
        return {"content": [], "said": exchange.params.get("text")}

    async def wait(self, exchange: Exchange) -> dict[str, Any]:
        """Wait at the gate of its id; speak to the very end."""
        gate = self.gates[exchange.id] = asyncio.get_running_loop().create_future()
        try:
            await exchange.notify("notifications/progress", {"progressToken": 1, "progress": 1})
            return {"content": [], "said": await gate}
        except asyncio.CancelledError:
            self.log.append(f"cancelled {exchange.id!r}")
            await exchange.notify("notifications/progress", {"progressToken": 1, "progress": 2})
            raise
        finally:
            self.log.append(f"left {exchange.id!r}")


def said(answer: Any) -> tuple[Any, Any]:
    return answer["id"], answer["result"]["said"]


def code(answer: Any) -> tuple[Any, int]:
    return answer.get("id", "no id"), answer["error"]["code"]


def call(id: Any, name: str = "echo", **params: Any) -> dict[str, Any]:
    return request(id, CALL, {"name": name, **params})


def modern(id: Any, name: str = "echo", **params: Any) -> dict[str, Any]:
    return enveloped(id, CALL, {"name": name, **params})


class Pipe:
    """A conversation with a kernel."""

    def __init__(self, kernel: Kernel, **settings: Any) -> None:
        self.heard: list[Any] = []
        self.duplex = Duplex(kernel, self, Settings(**settings))
        self._more = asyncio.Event()
        self._taken = 0

    def write(self, message: bytes) -> None:
        """Keep what the server says."""
        self.heard.append(json.loads(message))
        self._more.set()

    async def drained(self) -> None:
        """This client reads at once."""

    async def say(self, *messages: Any) -> None:
        """Send messages (dicts, arrays, or lines as they are) in one chunk; returns when they have been taken."""
        lines = [json.dumps(message).encode() if isinstance(message, dict | list) else message for message in messages]
        await self.take(lines)

    async def take(self, lines: list[Line]) -> None:
        """Let the event loop hand lines over."""
        taken = asyncio.Event()
        asyncio.get_running_loop().call_soon(self.duplex.receive, lines)
        asyncio.get_running_loop().call_soon(taken.set)
        await asyncio.wait_for(taken.wait(), SECONDS)

    async def hear(self, count: int = 1) -> list[Any]:
        """The next messages of the server."""
        async with asyncio.timeout(SECONDS):
            while len(self.heard) < self._taken + count:
                self._more.clear()
                await self._more.wait()
        new = self.heard[self._taken : self._taken + count]
        self._taken += count
        return new

    async def ask(self, message: Any) -> Any:
        """Send one message and return the next one that comes."""
        await self.say(message)
        return (await self.hear())[0]

    async def open(self, version: str = NEWEST_HANDSHAKE.name, **capabilities: Any) -> Any:
        """Open a session; returns the result."""
        answer = await self.ask(initialize(version=version, **capabilities))
        await self.say(notification("notifications/initialized"))
        return answer["result"]

    async def quiet(self) -> list[Any]:
        """What else the server says when it gets several turns of the event loop; normally nothing."""
        for _ in range(10):
            await asyncio.sleep(0)
        new = self.heard[self._taken :]
        self._taken = len(self.heard)
        return new

    async def over(self) -> None:
        """Wait for the end."""
        await asyncio.wait_for(asyncio.shield(self.duplex.over), SECONDS)
        await self.duplex.gone(SECONDS)

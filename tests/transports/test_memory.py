"""The pipe in memory: the client's transport straight into a kernel, by the rules of stdio (TR-05)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client.errors import ConnectionLost, ServerRefused
from mcpkit.client.transports.transport import Call, Transport
from mcpkit.jsonrpc.messages import Notification, Request, Response
from mcpkit.kernel import Kernel
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from mcpkit.transports.memory import Memory, MemoryPipe
from tests.pipes import ENVELOPE, SECONDS, small_kernel


class Connection:
    """An open transport and what the server says on it."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.received: list[Request | Notification] = []
        self.lost: list[Exception] = []
        self.more = asyncio.Event()
        self.ended = asyncio.Event()

    def lose(self, error: Exception) -> None:
        self.lost.append(error)
        self.ended.set()

    async def open(self) -> None:
        await self.memory.open(self.receive, self.lose)
        self.memory.speak(NEWEST_HANDSHAKE)
        await self.memory.listen()

    def receive(self, message: Request | Notification) -> None:
        self.received.append(message)
        self.more.set()

    async def call(self, method: str, **params: Any) -> Any:
        async with asyncio.timeout(SECONDS):
            return await self.memory.call(Call(method, {"_meta": ENVELOPE, **params}))


@pytest.fixture
def kernel() -> Kernel:
    kernel = small_kernel()

    async def call(exchange: Exchange) -> dict[str, Any]:
        match exchange.params["name"]:
            case "wait":
                await exchange.notify("notifications/message", {"level": "info", "data": 1})
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    exchange.state["cleanup"] = await asyncio.sleep(0, "done")
            case "bye":
                exchange.channel.hang_up()
        return {"content": []}

    kernel.register("tools/call", call)
    return kernel


@pytest.fixture
async def connection(kernel: Kernel) -> Any:
    connection = Connection(Memory(kernel))
    await connection.open()
    yield connection
    async with asyncio.timeout(SECONDS):
        await connection.memory.close()
        await connection.memory.close()
        for _ in range(5):
            await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_calls_and_refusals(connection: Connection) -> None:
    """STDIO-20: answers and errors as over any wire."""
    assert isinstance(connection.memory, Transport)
    assert (await connection.call("tools/call", name="echo"))["content"] == []
    with pytest.raises(ServerRefused) as caught:
        await connection.call("no/such")
    assert caught.value.code == -32601


async def test_who_stops_waiting_cancels(connection: Connection) -> None:
    """CANC-05: the server hears of it; the next call is served."""
    task = asyncio.create_task(connection.call("tools/call", name="wait"))
    async with asyncio.timeout(SECONDS):
        await connection.more.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await connection.call("tools/call", name="echo"))["content"] == []
    assert [message.method for message in connection.received] == ["notifications/message"]


async def test_the_server_may_end_it(connection: Connection) -> None:
    """STDIO-42, STDIO-44: the answer still comes; then the transport is lost and later calls fail locally."""
    assert (await connection.call("tools/call", name="bye"))["content"] == []
    async with asyncio.timeout(SECONDS):
        await connection.ended.wait()
    assert len(connection.lost) == 1
    with pytest.raises(ConnectionLost):
        await connection.call("tools/call", name="echo")


async def test_closing_fails_what_waits(kernel: Kernel) -> None:
    """STDIO-44: and is no loss that anybody must hear of."""
    connection = Connection(Memory(kernel))
    with pytest.raises(ConnectionLost):
        await connection.call("tools/call", name="echo")
    await connection.open()
    task = asyncio.create_task(connection.call("tools/call", name="wait"))
    async with asyncio.timeout(SECONDS):
        await connection.more.wait()
    await connection.memory.close()
    with pytest.raises(ConnectionLost):
        await task
    with pytest.raises(ConnectionLost):
        await connection.memory.send(Response(1, {}))
    assert connection.lost == []


async def test_a_message_that_is_too_long(kernel: Kernel) -> None:
    """STDIO-09: the same bound as on a line."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    pipe = MemoryPipe(kernel, heard.put_nowait, lambda: None, Settings(max_body_bytes=1024))
    for size, expected in ((1024, b"-32700"), (1025, b"-32600")):
        pipe.send(b"x" * size)
        assert expected in await asyncio.wait_for(heard.get(), SECONDS)
    await pipe.close()

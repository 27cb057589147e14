"""HTTP+SSE, the transport of 2024-11-05."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpkit.client.endpoint import Endpoint
from mcpkit.client.errors import (
    ClientError,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    SessionEnded,
    Timeout,
)
from mcpkit.client.http import HttpxCarrier
from mcpkit.client.limits import Bounds, Deadlines, Patience
from mcpkit.client.transports.http_sse import HttpSse
from mcpkit.client.transports.transport import Call
from mcpkit.jsonrpc.messages import Notification, Request, Response
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from tests.client.scripted import Asked, HttpPeer, Reply, http_peer, result, soon, until

PATIENCE = Patience(bounds=Bounds(message_bytes=10_000), deadlines=Deadlines(connect=2.0, goodbye=0.5))


class Sse:
    """A server with one stream; ``post`` is what it does with a message."""

    def __init__(self, endpoint: str = "/messages?session_id=1") -> None:
        self.endpoint = endpoint
        self.stream: Reply
        self.status = 202
        self.post: Callable[[dict[str, Any]], Awaitable[None]] = self.echo
        self.opened = asyncio.Event()
        self.over = asyncio.Event()

    async def __call__(self, asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            await reply.stream()
            await reply.event(self.endpoint, event="endpoint")
            self.stream = reply
            self.opened.set()
            await self.over.wait()
            await reply.end()
        else:
            await reply.send(self.status)
            if self.status == 202:
                await self.post(asked.message)

    async def echo(self, message: dict[str, Any]) -> None:
        if "id" in message and "method" in message:
            await self.stream.event(result(message, message.get("params", {})), event="message")


class Ear:
    """Hears what the transport says."""

    def __init__(self) -> None:
        self.received: list[Request | Notification] = []
        self.lost: asyncio.Future[ClientError] = asyncio.get_running_loop().create_future()

    async def open(self, peer: HttpPeer, patience: Patience = PATIENCE) -> HttpSse:
        transport = HttpSse(Endpoint(peer.url, HttpxCarrier()), patience)
        try:
            await soon(transport.open(self.received.append, self.lost.set_result))
        except BaseException:
            await transport.close()
            raise
        return transport


async def test_calls_go_out_by_post_and_come_back_by_event() -> None:
    """HSSE-02 to HSSE-04: the endpoint is relative to the stream; other events and comments mean nothing (TCLI-07)."""
    script, ear = Sse(), Ear()
    async with http_peer(script) as peer:
        transport = await ear.open(peer)
        await script.stream.chunk(b": keep-alive\n\nevent: weather\ndata: sunny\n\ndata:\n\n")
        answers = await soon(asyncio.gather(*(transport.call(Call("m", {"n": n})) for n in range(20))))
        assert answers == [{"n": n} for n in range(20)]
        assert {asked.target for asked in peer.asked if asked.method == "POST"} == {"/messages?session_id=1"}
        assert "mcp-protocol-version" not in peer.asked[1].headers
        await soon(transport.close())


async def test_the_revision_is_named_once_it_is_agreed() -> None:
    """INIT-16."""
    script, ear = Sse(), Ear()
    async with http_peer(script) as peer:
        transport = await ear.open(peer)
        transport.speak(NEWEST_HANDSHAKE)
        await transport.listen()
        await soon(transport.send(Notification("notifications/initialized", {})))
        assert peer.asked[-1].headers["mcp-protocol-version"] == NEWEST_HANDSHAKE.name
        await soon(transport.close())


@pytest.mark.parametrize("away", ["http://evil.example/messages", "//evil.example/", "javascript:alert(1)", "http://["])
async def test_an_endpoint_elsewhere_is_refused(away: str) -> None:
    """HSSE-09: no message, and no token, goes there."""
    script, ear = Sse(away), Ear()
    async with http_peer(script) as peer:
        with pytest.raises(ProtocolViolation, match="refused"):
            await ear.open(peer)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 404}, HttpRefused),
        ({"status": 200, "body": "<html>"}, ProtocolViolation),
        ({"status": 200, "body": "data: x\n\n", "content_type": "text/event-stream"}, ProtocolViolation),
    ],
)
async def test_what_is_no_stream_of_mcp(answer: dict[str, Any], error: type[ClientError]) -> None:
    """TCLI-02: give up with a clear error."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(**answer)

    async with http_peer(script) as peer:
        with pytest.raises(error):
            await Ear().open(peer)


async def test_silence_is_not_waited_for() -> None:
    """TCLI-02: no endpoint in time."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        await reply.gone()

    hurry = Patience(deadlines=Deadlines(connect=0.05, goodbye=0.5))
    async with http_peer(script) as peer:
        with pytest.raises(Timeout):
            await Ear().open(peer, hurry)


async def test_the_end_of_the_stream_is_the_end_of_the_session() -> None:
    """HSSE-11: calls underway fail, and who holds the transport is told."""
    script, ear = Sse(), Ear()
    begun = asyncio.Event()

    async def silent(message: dict[str, Any]) -> None:
        begun.set()

    script.post = silent
    async with http_peer(script) as peer:
        transport = await ear.open(peer)
        call = asyncio.create_task(transport.call(Call("m", {})))
        await soon(begun.wait())
        script.over.set()
        with pytest.raises(ConnectionLost, match="closed the event stream"):
            await soon(call)
        assert isinstance(await soon(ear.lost), ConnectionLost)
        await soon(transport.close())


async def test_an_event_too_large_ends_it() -> None:
    """AVAIL-07."""
    script, ear = Sse(), Ear()
    async with http_peer(script) as peer:
        transport = await ear.open(peer)
        await script.stream.chunk(b"data: " + b"x" * 20_000)
        assert isinstance(await soon(ear.lost), ProtocolViolation)
        await soon(transport.close())


@pytest.mark.parametrize(("status", "error"), [(404, SessionEnded), (400, HttpRefused), (500, HttpRefused)])
async def test_refused_posts(status: int, error: type[ClientError]) -> None:
    """HSSE-07: an unknown session is told apart."""
    script, ear = Sse(), Ear()
    script.status = status
    async with http_peer(script) as peer:
        transport = await ear.open(peer)
        with pytest.raises(error):
            await soon(transport.call(Call("m", {})))
        await soon(transport.close())


async def test_the_server_asks() -> None:
    """The stream carries its requests, a POST our answer."""
    script, ear = Sse(), Ear()
    answered = asyncio.Queue[dict[str, Any]]()

    async def take(message: dict[str, Any]) -> None:
        answered.put_nowait(message)

    script.post = take
    async with http_peer(script) as peer:
        transport = await ear.open(peer)
        await script.stream.event({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        await until(lambda: ear.received)
        assert ear.received == [Request(1, "ping", {})]
        await soon(transport.send(Response(1, {})))
        assert await soon(answered.get()) == {"jsonrpc": "2.0", "id": 1, "result": {}}
        await soon(transport.close())
        await soon(transport.close())

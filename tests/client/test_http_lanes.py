"""A stack of connections, one request at a time on each."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import pytest

from mcpkit.client import http_lane, http_lanes
from mcpkit.client import proxies as client_proxies
from mcpkit.client.errors import ConnectionLost, ProtocolViolation, Unreachable
from mcpkit.client.http import HttpRequest, HttpxCarrier, read_body
from mcpkit.client.http_lanes import LaneCarrier
from tests.client.scripted import Asked, HttpPeer, Reply, http_peer, soon, until


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine makes no connection stale."""
    monkeypatch.setattr(http_lane, "IDLE_SECONDS", 600.0)


class Server:
    """Answers at once, or when it is let go; counts its connections."""

    def __init__(self) -> None:
        self.connections: set[object] = set()
        self.waiting = 0
        self.go = asyncio.Event()
        self.gone = asyncio.Event()

    async def __call__(self, asked: Asked, reply: Reply) -> None:
        self.connections.add(reply._writer)
        if asked.target == "/slow":
            self.waiting += 1
            await self.go.wait()
        if asked.target == "/stream":
            await reply.stream()
            await reply.gone()
            self.gone.set()
        await reply.send(200, b"ok", connection="close" if asked.target == "/last" else "keep-alive")


async def get(carrier: LaneCarrier, peer: HttpPeer, path: str = "/") -> bytes:
    answer = await carrier.send(HttpRequest("GET", peer.url.replace("/mcp", path), {}))
    return await read_body(answer, 1000)


async def test_the_connection_used_last_is_used_next() -> None:
    """One after the other needs one; a server that ends it costs a new one."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        for _ in range(5):
            assert await soon(get(carrier, peer)) == b"ok"
        assert len(server.connections) == 1
        await soon(get(carrier, peer, "/last"))
        await soon(get(carrier, peer))
        assert len(server.connections) == 2
        await soon(carrier.close())


async def test_a_connection_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may be hanging up at this very moment."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        await soon(get(carrier, peer))
        monkeypatch.setattr(http_lane, "IDLE_SECONDS", -1.0)
        await soon(get(carrier, peer))
        assert len(server.connections) == 2
        await soon(carrier.close())


async def test_as_many_as_are_needed_at_once() -> None:
    """No request waits for another's answer, only for its turn to connect; few connections stay."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        slow = [asyncio.create_task(get(carrier, peer, "/slow")) for _ in range(90)]
        await until(lambda: server.waiting == 90)
        assert await soon(get(carrier, peer)) == b"ok"
        server.go.set()
        await soon(asyncio.gather(*slow))
        before = len(server.connections)
        await soon(asyncio.gather(*(get(carrier, peer) for _ in range(80))))
        assert len(server.connections) == before
        await soon(carrier.close())
        assert not carrier._busy


async def test_a_connection_that_died_idle_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that hung up meanwhile is noticed before anything is sent; what idles too long goes too."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        await soon(get(carrier, peer))
    port = urlsplit(peer.url).port
    replacement = await asyncio.start_server(_hello, "127.0.0.1", port)
    async with replacement:
        assert await soon(get(carrier, peer)) == b"hello"
    await soon(carrier.close())


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    await writer.drain()
    writer.close()


async def test_what_is_not_read_to_its_end_is_cut() -> None:
    """SHM-08, TCLI-08: closing an answer early is how a request is cancelled."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        answer = await soon(carrier.send(HttpRequest("GET", peer.url.replace("/mcp", "/stream"), {})))
        await soon(answer.close())
        await soon(answer.close())
        await soon(server.gone.wait())
        assert not carrier._busy
        await soon(carrier.close())


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    """Neither a connection in use nor a turn taken."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        slow = [asyncio.create_task(get(carrier, peer, "/slow")) for _ in range(40)]
        await until(lambda: server.waiting == 40)
        for task in slow:
            task.cancel()
        await asyncio.wait(slow, timeout=5)
        assert not carrier._busy
        assert await soon(get(carrier, peer)) == b"ok"
        await soon(carrier.close())


async def test_closing_fails_what_is_underway() -> None:
    """With a lost connection, not with an exception of a library."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        slow = asyncio.create_task(get(carrier, peer, "/slow"))
        await until(lambda: server.waiting == 1)
        await soon(carrier.close())
        with pytest.raises(ConnectionLost):
            await soon(slow)
        with pytest.raises(ConnectionLost) as lost:
            await soon(get(carrier, peer))
        assert not lost.value.sent
        server.go.set()


async def test_fields_that_no_header_may_hold() -> None:
    """An application's mistake is told, and no request is smuggled."""
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        framing = ({"Content-Length": "3"}, {"transfer-encoding": "chunked"}, {"Connection": "upgrade"})
        for headers in ({"X": "a\r\nY: b"}, {"X Y": "b"}, {"X": "\u4e16"}, {"\u4e16": "x"}, {"X": "\0"}, *framing):
            with pytest.raises(ProtocolViolation):
                await soon(carrier.send(HttpRequest("GET", peer.url, headers)))
        assert peer.asked == []
        await soon(carrier.close())


async def test_fields_that_an_application_may_choose() -> None:
    """Its own name for itself and for the server; each once."""
    carrier = LaneCarrier()
    async with http_peer(Server()) as peer:
        answer = await soon(carrier.send(HttpRequest("GET", peer.url, {"host": "h.example", "user-agent": "mine"})))
        await soon(read_body(answer, 100))
        assert (peer.asked[0].headers["host"], peer.asked[0].headers["user-agent"]) == ("h.example", "mine")
        await soon(carrier.close())


async def test_repeated_fields_read_as_one() -> None:
    """RFC 9110 §5.3: two challenges are a list of two."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(401, b"", www_authenticate="DPoP\r\nWWW-Authenticate: Bearer")

    carrier = LaneCarrier()
    async with http_peer(script) as peer:
        answer = await soon(carrier.send(HttpRequest("GET", peer.url, {})))
        assert answer.headers["www-authenticate"] == "DPoP, Bearer"
        async with aclosing(answer.chunks()) as chunks:
            assert [chunk async for chunk in chunks] == []
        await answer.close()
        await soon(carrier.close())


@pytest.mark.parametrize(
    ("proxies", "through"),
    [({}, False), ({"http": "http://127.0.0.1:9"}, True), ({"all": "http://127.0.0.1:9"}, True), ({"ftp": "x"}, False)],
)
async def test_proxies_are_left_to_httpx(
    proxies: dict[str, str], through: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's proxy is obeyed, and so are its exceptions."""
    used: list[str] = []

    async def send(self: Any, request: HttpRequest) -> Any:
        used.append(request.url)
        raise Unreachable("proxy")

    monkeypatch.setattr(client_proxies, "proxies", lambda: proxies)
    monkeypatch.setattr(HttpxCarrier, "send", send)
    server, carrier = Server(), LaneCarrier()
    async with http_peer(server) as peer:
        if through:
            with pytest.raises(Unreachable, match="proxy"):
                await soon(get(carrier, peer))
        else:
            assert await soon(get(carrier, peer)) == b"ok"
        assert len(used) == through
        with pytest.raises(Unreachable, match="proxy"):
            await soon(carrier.send(HttpRequest("GET", peer.url + "/ü", {})))
        await soon(carrier.close())


async def test_without_httptools_httpx_carries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no wheel of it is to be had."""
    monkeypatch.setattr(http_lanes.importlib.util, "find_spec", lambda name: None)
    carrier = LaneCarrier()
    async with http_peer(Server()) as peer:
        assert await soon(get(carrier, peer)) == b"ok"
        assert carrier._proxied is not None
        await soon(carrier.close())


async def test_tls_is_checked() -> None:
    """A server without a certificate that we trust is not reached; nothing was sent."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        carrier = LaneCarrier()
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable):
            await soon(carrier.send(HttpRequest("GET", f"https://127.0.0.1:{port}/", {})))
        await soon(carrier.close())
    context = http_lanes._tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("url", ["http://", "ftp://h/", "http://h:bad/", "http://user:secret@h/"])
async def test_urls_that_are_none(url: str) -> None:
    """Said without the secret that may stand in them."""
    with pytest.raises(Unreachable) as caught:
        await soon(LaneCarrier().send(HttpRequest("GET", url, {})))
    assert "secret" not in str(caught.value)

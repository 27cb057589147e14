"""One connection: what a strange or hostile server can do to it, and when it is used again."""

from __future__ import annotations

import asyncio
import datetime
import errno
import importlib
import ipaddress
import os
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mcpkit.client import http_lane, http_lanes
from mcpkit.client.errors import ConnectionLost, ProtocolViolation, Unreachable
from mcpkit.client.http import HttpRequest, read_body
from mcpkit.client.http_lane import MOST_AHEAD, MOST_BARE, Lane
from mcpkit.client.http_lanes import LaneCarrier
from tests.client.scripted import soon, until

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASK = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine makes no connection stale."""
    monkeypatch.setattr(http_lane, "IDLE_SECONDS", 600.0)


@dataclass
class Place:
    """Where a server listens, and the lanes that lead there."""

    port: int
    lanes: list[Lane] = field(default_factory=list)

    async def lane(self) -> Lane:
        """A new connection."""
        self.lanes.append(await soon(Lane.opened(("http", "127.0.0.1", self.port), None, 10)))
        return self.lanes[-1]


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Place]:
    """A server that runs ``script`` for each connection, after its first request."""
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
        writer.close()
        serving.discard(asyncio.current_task())

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    place = Place(server.sockets[0].getsockname()[1])
    try:
        yield place
    finally:
        for lane in place.lanes:
            lane.drop()
        server.close()
        await until(lambda: not serving)


def saying(*answers: bytes) -> Script:
    """Says these bytes, one piece for each request, and hangs up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place, answer in enumerate(answers):
            if place:
                await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return script


async def body_of(lane: Lane) -> bytes:
    async with aclosing(lane.chunks()) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_interim_answers_are_not_the_answer() -> None:
    """RFC 9110 §15.2: neither their status nor their fields."""
    hints = b"HTTP/1.1 103 Early Hints\r\nX-Old: 1\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with serving(saying(hints + OK)) as place:
        lane = await place.lane()
        await soon(lane.ask(ASK))
        assert (lane.status, lane.fields) == (200, [(b"Content-Length", b"2")])
        assert await soon(body_of(lane)) == b"ok"


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """RFC 9112 §6.3; there is nothing to use again."""
    async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\nto the end")) as place:
        lane = await place.lane()
        await soon(lane.ask(ASK))
        assert await soon(body_of(lane)) == b"to the end"
        assert not lane.over()


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nwhat?",
    ],
)
async def test_a_body_that_ends_too_early_is_an_error(cut: bytes) -> None:
    """RFC 9112 §8: half an answer is never taken for a whole one."""
    async with serving(saying(cut)) as place:
        lane = await place.lane()
        with pytest.raises(ConnectionLost, match="in the middle"):
            await soon(_asked_and_read(lane))


async def _asked_and_read(lane: Lane) -> bytes:
    await lane.ask(ASK)
    return await body_of(lane)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
)
async def test_what_is_no_http(nonsense: bytes) -> None:
    """An answer that two parsers could read in two ways is read in none."""
    async with serving(saying(nonsense)) as place:
        lane = await place.lane()
        with pytest.raises(ProtocolViolation, match="no HTTP"):
            await soon(_asked_and_read(lane))
        assert not lane.over()


async def test_hanging_up_instead_of_answering() -> None:
    """The server may have seen the request."""
    async with serving(saying(b"")) as place:
        lane = await place.lane()
        with pytest.raises(ConnectionLost, match="before it answered") as lost:
            await soon(lane.ask(ASK))
        assert lost.value.sent
        with pytest.raises(ConnectionLost):
            await soon(lane.ask(ASK))


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"x" * 4000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Filler: ", b"x" * 4000),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Trailer: ", b"x" * 4000),
    ],
    ids=["fields", "field", "interim answers", "trailer"],
)
async def test_heads_are_bounded(start: bytes, more: bytes) -> None:
    """AVAIL-07: a head without end is given up, and so is what follows a body."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        for _ in range(20 * MOST_BARE // len(more)):
            writer.write(more)
            await writer.drain()

    async with serving(script) as place:
        lane = await place.lane()
        with pytest.raises(ProtocolViolation, match="larger than"):
            await soon(_asked_and_read(lane))


@pytest.mark.parametrize("more", [OK, b"garbage", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"])
async def test_an_answer_that_nobody_asked_for_is_given_to_nobody(more: bytes) -> None:
    """Not to the next request either: the connection is not used again."""
    async with serving(saying(OK + more)) as place:
        lane = await place.lane()
        await soon(lane.ask(ASK))
        assert (lane.status, await soon(body_of(lane))) == (200, b"ok")
        assert not lane.over()


async def test_speaking_between_two_requests() -> None:
    """Ends the connection, whatever is said."""
    heard = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await heard.wait()
        writer.write(OK)
        await reader.read()

    async with serving(script) as place:
        lane = await place.lane()
        await soon(lane.ask(ASK))
        assert await soon(body_of(lane)) == b"ok"
        assert lane.over()
        heard.set()
        await until(lane._transport.is_closing)
        assert not lane.usable
        with pytest.raises(ConnectionLost):
            await soon(lane.ask(ASK))


async def test_a_connection_that_the_server_closes_with_its_answer() -> None:
    """RFC 9112 §9.6: the answer counts, the connection is over."""
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for answer in (closing, OK.replace(b"1.1", b"1.0"), closing + b"more"):
        async with serving(saying(answer)) as place:
            lane = await place.lane()
            await soon(lane.ask(ASK))
            assert await soon(body_of(lane)) == b"ok"
            assert not lane.over()


async def test_a_hang_up_that_the_loop_has_not_seen_yet() -> None:
    """The program was busy, the server restarted: nothing is sent into a dead connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    hung_up = threading.Event()

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(OK)
        hung_up.set()

    thread = threading.Thread(target=serve)
    thread.start()
    lane = await Place(listener.getsockname()[1]).lane()
    await soon(lane.ask(ASK))
    assert await soon(body_of(lane)) == b"ok"
    assert lane.over()
    assert hung_up.wait(10)  # and the loop did not run meanwhile
    assert not lane.usable
    lane.drop()
    await asyncio.to_thread(thread.join, 10)


async def test_a_silent_server_is_probed() -> None:
    """A listen stream may be silent for hours; a server that is no longer there must not look the same."""
    async with serving(saying(OK)) as place:
        lane = await place.lane()
        connection = lane._transport.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if sys.platform == "linux":
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60


async def test_no_more_is_read_than_somebody_wants() -> None:
    """AVAIL-07: a fast server fills no memory while the caller does something else; nothing is lost of it."""
    await a_flood()


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
def test_on_uvloop() -> None:
    """The loop that uvicorn runs where it can: an application's client may live there."""
    importlib.import_module("uvloop").run(a_flood())


async def a_flood() -> None:
    size, piece = 64 * MOST_AHEAD, b"x" * 65536
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()
        await reader.read()

    async with serving(script) as place:
        lane = await place.lane()
        await soon(lane.ask(ASK))
        await until(lambda: lane._paused)
        assert lane._ahead <= 3 * MOST_AHEAD
        assert len(await soon(body_of(lane))) == size
        assert not lane._paused
        assert lane.over()
        assert lane.usable


async def test_a_server_that_accepts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, and it is said so."""

    async def never(*arguments: Any, **options: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    with pytest.raises(Unreachable, match="did not accept a connection in time"):
        await soon(Lane.opened(("http", "h.example", 80), None, 0.01))


async def test_nobody_there_is_told_in_the_systems_words() -> None:
    """One address refuses, or several."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(Unreachable) as nobody:
            await soon(Lane.opened(("http", host, port), None, 10))
        refused = f"{os.strerror(errno.ECONNREFUSED)}; start the server, or check the port"
        assert str(nobody.value) == f"http://{host}:{port} cannot be reached: {refused}"


async def test_over_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The certificate must be of this host and of somebody we trust; the connection is used again."""
    ours = _certificate(tmp_path)
    accepts = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepts.load_cert_chain(ours)
    async with serving(saying(OK, OK), accepts) as place:
        url = f"https://127.0.0.1:{place.port}/"
        with pytest.raises(Unreachable, match="certificate"):
            await soon(LaneCarrier().send(HttpRequest("GET", url, {})))
        monkeypatch.setattr(http_lanes, "_tls", lambda: ssl.create_default_context(cafile=str(ours)))
        carrier = LaneCarrier()
        for _ in range(2):
            answer = await soon(carrier.send(HttpRequest("GET", url, {})))
            assert await soon(read_body(answer, 100)) == b"ok"
        assert len(carrier._idle["https", "127.0.0.1", place.port]) == 1
        with pytest.raises(Unreachable):
            await soon(carrier.send(HttpRequest("GET", url.replace("127.0.0.1", "localhost"), {})))
        await soon(carrier.close())


def _certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, signed by itself, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file

"""Connections are bounded before a request exists: slow heads, endless heads, clients that never read."""

from __future__ import annotations

import asyncio
import gc
import inspect
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from mcpkit.transports.listener import bounded_protocol
from mcpkit.transports.load import Load
from tests.transports.doors import House, call
from tests.transports.sockets import Connection, Place, serving

SUM = call("add", a=2, b=3)
PARSERS = ["httptools", "h11"]
LIMITS = Settings(header_seconds=0.3, body_silence_seconds=0.3, send_seconds=0.5, max_header_bytes=4096)


@pytest.fixture(params=PARSERS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with serving(House(LIMITS).endpoint, LIMITS, http=request.param) as place:
        yield place


async def status_of(connection: Connection) -> bytes:
    """The status line of what comes before the connection is closed; nothing, if nothing comes."""
    return (await connection.rest()).partition(b"\r\n")[0]


async def test_calls_follow_each_other_on_one_connection(place: Place) -> None:
    """Their heads together are longer than one may be."""
    connection = await place.connect()
    for _ in range(200):
        connection.post(SUM)
        status, headers, body = await connection.answer()
        assert (status, b'"5"' in body) == (200, True)
        assert "server" not in headers
    connection.close()


async def test_a_connection_that_says_nothing_is_closed(place: Place) -> None:
    assert await status_of(await place.connect()) == b""


@pytest.mark.parametrize("before", [0, 1])
async def test_a_slow_head_is_408_on_the_first_and_on_a_later_request(place: Place, before: int) -> None:
    """uvicorn alone holds such a socket for ever."""
    connection = await place.connect()
    for _ in range(before):
        connection.post(SUM)
        await connection.answer()
    connection.send(b"POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    assert await status_of(connection) == b"HTTP/1.1 408 Request Timeout"


async def test_a_trickled_head_gets_no_more_time(place: Place) -> None:
    connection = await place.connect()
    connection.send(b"GET /api HTTP/1.1\r\n")

    async def trickle() -> None:
        while True:
            connection.send(b"X: y\r\n")
            await asyncio.sleep(0.05)

    task = asyncio.ensure_future(trickle())
    assert await status_of(connection) == b"HTTP/1.1 408 Request Timeout"
    task.cancel()


async def test_an_endless_head_is_431_while_it_comes(place: Place) -> None:
    """HDR-07: memory must not grow with what is sent."""
    connection = await place.connect()
    connection.send(b"GET /api HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    for _ in range(10):
        connection.send(b"X: %b\r\n" % (b"y" * 4000))
    assert await status_of(connection) == b"HTTP/1.1 431 Request Header Fields Too Large"


async def test_a_slow_body_is_408(place: Place) -> None:
    connection = await place.connect()
    connection.send(
        b"POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    assert await status_of(connection) == b"HTTP/1.1 408 Request Timeout"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: +5\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Host: other\r\n",
    ],
)
async def test_ambiguous_requests_are_refused_and_the_connection_closed(place: Place, head: bytes) -> None:
    """CVE-2025-43859 and its kin: what two parsers may read in two ways is read in none."""
    connection = await place.connect()
    connection.send(b"POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
    connection.send(head + b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "rubbish",
    [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET /\xff HTTP/1.1\r\n\r\n"],
)
async def test_rubbish_is_400_or_nothing(place: Place, rubbish: bytes) -> None:
    connection = await place.connect()
    connection.send(rubbish)
    assert (await status_of(connection)).partition(b" ")[2][:3] in {b"400", b"408", b""}
    assert (await place.ask(SUM))["id"] == 1


@pytest.mark.parametrize("http", PARSERS)
async def test_rubbish_during_an_answer_is_not_answered_into_it(http: str) -> None:
    home = House(LIMITS)
    async with serving(home.endpoint, LIMITS, http=http) as place:
        connection = await place.connect()
        connection.post(call("speak"), f"MCP-Protocol-Version: {NEWEST_HANDSHAKE.name}")
        assert b"200 OK" in await connection.until(b"\r\n\r\n")
        connection.send(b"\x00\x01 rubbish\r\n\r\n")
        home.release.set()
        stream, end, _ = (await connection.rest()).partition(b"0\r\n\r\n")
        assert b"HTTP/1.1 400" not in stream
        assert b"spoken" in stream or not end


async def test_a_client_that_never_reads_is_dropped() -> None:
    """A line that stays full is no line; the work for it may end."""
    home = House(LIMITS)

    async def flood(exchange: Any) -> Any:
        try:
            while True:
                await exchange.notify("notifications/progress", {"progressToken": 1, "message": "x" * 60_000})
        finally:
            home.started.set()

    home.kernel.register("x/flood", flood)
    async with serving(home.endpoint, LIMITS) as place:
        connection = await place.connect()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection.post({"jsonrpc": "2.0", "id": 1, "method": "x/flood", "params": _envelope()}, *_mirrored("x/flood"))
        async with asyncio.timeout(10):
            await home.started.wait()
        connection.reset()


PROTOCOL = """access_log app app_state config connections cycle flow limit_concurrency loop scope server_state tasks
timeout_keep_alive timeout_keep_alive_task transport _unset_keepalive_if_required on_response_complete
send_400_response shutdown timeout_keep_alive_handler pause_writing resume_writing"""
FAST = "on_message_begin scope _start_asgi_task"
CYCLE = """access_log body default_headers disconnected flow keep_alive message_event more_body on_response
response_complete response_started scope transport waiting_for_100_continue run_asgi receive send"""
FLOW = "read_paused write_paused drain pause_reading resume_reading pause_writing resume_writing"


@pytest.mark.parametrize("http", PARSERS)
async def test_uvicorn_is_as_we_know_it(http: str) -> None:
    """What we read and replace of its private classes (docs/decisions/0010): a new uvicorn fails here, by name."""
    import importlib

    import uvicorn
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    module = importlib.import_module(f"uvicorn.protocols.http.{http}_impl")
    name = "H11Protocol" if http == "h11" else "HttpToolsProtocol"
    state = ServerState()
    protocol = getattr(module, name)(uvicorn.Config(lambda: None, log_config=None), state, {})
    known = {
        name: (protocol, PROTOCOL if http == "h11" else f"{PROTOCOL} {FAST}"),
        "FlowControl": (FlowControl(asyncio.Transport()), FLOW),
        "ServerState": (state, "connections default_headers tasks total_requests"),
    }
    if http == "httptools":
        given = dict.fromkeys(inspect.signature(module.RequestResponseCycle).parameters)
        known["RequestResponseCycle"] = (
            module.RequestResponseCycle(**given),
            f"{CYCLE} chunked_encoding expected_content_length",
        )
        known[http] = (module, "STATUS_LINE RequestResponseCycle")
    missing = [f"{what}.{n}" for what, (one, names) in known.items() for n in names.split() if not hasattr(one, n)]
    assert not missing, f"uvicorn {uvicorn.__version__} has changed; adapt listener.py, swift.py, cycles.py: {missing}"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The garbage collector rests."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("http", PARSERS)
async def test_a_connection_that_was_reset_leaves_nothing(http: str, uncollected: None) -> None:
    """Not even for the garbage collector. uvicorn keeps the timer of idle connections, and so the connection, for more
    than a minute."""
    async with serving(House(LIMITS).endpoint, LIMITS, http=http) as place:
        ours: weakref.WeakSet[Any] = weakref.WeakSet()
        for _ in range(5):
            connection = await place.connect()
            connection.post(None, body=b"{")
            await connection.answer()
            ours.update(place.program.server_state.connections)
            own = connection.writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.reset()
        async with asyncio.timeout(10):
            while place.program.server_state.connections:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
            while ours:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("http", PARSERS)
async def test_beyond_the_most_connections_idle_ones_give_way_and_then_new_ones(http: str) -> None:
    """AVAIL-03: 503 with Retry-After; a client that is being served is never the one."""
    home, limits = House(LIMITS), replace(Settings(), max_connections=16)
    async with serving(home.endpoint, limits, http=http) as place:
        idle = await place.connect()
        idle.post(SUM)
        await idle.answer()
        waiting = [await place.connect() for _ in range(16)]
        for number, one in enumerate(waiting):
            one.post(call("wait", id=number))
        assert await idle.rest() == b""
        late = await place.connect()
        answer = await late.rest()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
        assert b"MCP_MAX_CONNECTIONS" in answer
        assert len(place.program.server_state.connections) >= 16


@pytest.mark.parametrize("http", PARSERS)
async def test_what_is_not_answered_is_bounded_over_all_connections(http: str) -> None:
    """AVAIL-03: bodies that are on their way, whole or not, together; who is refused frees the place at once."""
    limits = replace(Settings(), max_pending_bytes=1 << 20)
    async with serving(House(LIMITS).endpoint, limits, http=http) as place:
        head = b"POST /api HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        head += b"Content-Length: 900000\r\n\r\n"
        first, second = await place.connect(), await place.connect()
        first.send(head + b" " * 700_000)
        async with asyncio.timeout(10):
            while _held(place) < 700_000:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        second.send(head + b" " * 700_000)
        answer = await second.rest()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in answer
        assert _held(place) < 800_000
        first.send(b" " * 200_000)
        assert (await first.answer())[0] == 400
        assert (await place.ask(SUM))["id"] == 1
        assert _held(place) == 0


def _held(place: Place) -> int:
    load: Load = place.program.config.http.load  # type: ignore[union-attr]
    return load.held


def test_the_fast_parser_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from mcpkit.transports.listener import Deadlines

    deadlines = Deadlines.of(Settings())
    assert "HttpToolsProtocol" in str(bounded_protocol(deadlines).__mro__)
    monkeypatch.setitem(sys.modules, "httptools", None)
    assert "H11Protocol" in str(bounded_protocol(deadlines).__mro__)


def _envelope() -> dict[str, Any]:
    meta = "io.modelcontextprotocol/"
    return {"_meta": {f"{meta}protocolVersion": "2026-07-28", f"{meta}clientCapabilities": {}}}


def _mirrored(method: str) -> tuple[str, str]:
    return "MCP-Protocol-Version: 2026-07-28", f"Mcp-Method: {method}"

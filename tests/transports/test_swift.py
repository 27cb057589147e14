"""The short way for whole requests: the same answers as the first time, in one write, and a way out for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from mcpkit import Context, Server
from mcpkit.fastapi import create_app
from mcpkit.framing.whole import Familiar
from mcpkit.settings import Settings
from mcpkit.transports.swift import LONGEST_LINE, MOST_PLACES, Swift, SwiftCycle
from tests.client.scripted import until
from tests.transports.sockets import Connection, Place, serving

SECONDS = 10.0


class Hall:
    """A server on a socket, what waits in it, and how its requests were served."""

    def __init__(self, place: Place, waiting: asyncio.Event, gone: asyncio.Event, go: asyncio.Event) -> None:
        self.place = place
        self.waiting = waiting
        self.gone = gone
        self.go = go
        self.cycles: list[SwiftCycle] = []


class Passing:
    """Middleware that changes nothing; whoever stands behind it is served through ASGI."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


@pytest.fixture(params=[False, True], ids=["direct", "behind middleware"])
async def hall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    server, waiting, gone, go = Server("swift"), asyncio.Event(), asyncio.Event(), asyncio.Event()

    @server.tool
    async def echo(text: str) -> str:
        return text

    @server.tool
    async def timed(text: str) -> str:
        async with asyncio.timeout(SECONDS):
            task = asyncio.current_task()
            await asyncio.sleep(0)
            assert asyncio.current_task() is task
        return text

    @server.tool
    async def wait() -> str:
        waiting.set()
        try:
            await go.wait()
        except asyncio.CancelledError:
            gone.set()
            raise
        return "waited"

    @server.tool
    async def speak(text: str, ctx: Context) -> str:
        await ctx.report_progress(1)
        return text

    app = create_app(server)
    if request.param:
        app.add_middleware(Passing)
    async with serving(app, Settings(grace_seconds=1)) as place:
        hall = Hall(place, waiting, gone, go)
        made = SwiftCycle.__init__

        def noted(cycle: SwiftCycle, line: Swift, head: Familiar, body: bytes) -> None:
            made(cycle, line, head, body)
            hall.cycles.append(cycle)

        monkeypatch.setattr(SwiftCycle, "__init__", noted)
        yield hall
        go.set()


def call(tool: str, id: int = 1, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": 1}}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}


async def text(connection: Connection) -> str:
    _, _, body = await connection.answer()
    return str(orjson.loads(body)["result"]["content"][0]["text"])


ERA = "MCP-Protocol-Version: 2025-11-25"


async def test_a_repetition_is_answered_like_the_first(hall: Hall) -> None:
    connection = await hall.place.connect()
    answers = []
    for _ in range(3):
        connection.post(call("echo", text="x"), ERA)
        answers.append(await connection.answer())
    for _, headers, _ in answers:
        headers.pop("date")
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 200
    assert len(hall.cycles) == 2


async def test_other_heads_to_a_known_target(hall: Hall) -> None:
    """Also on a connection that has brought nothing before, and where the answer is a refusal."""
    await text_of_first(hall)
    connection = await hall.place.connect()
    for length, name in ((1, "a"), (1, "a"), (900, "b"), (2, "c")):
        connection.post(call("echo", text=name * length), ERA, f"X-Length: {length}")
        assert await text(connection) == name * length
    connection.post(call("echo", text="x"), ERA, "Origin: http://evil.example.com")
    assert (await connection.answer())[0] == 403
    assert len(hall.cycles) == 5


async def text_of_first(hall: Hall) -> None:
    """A target is known once uvicorn has read it."""
    connection = await hall.place.connect()
    connection.post(call("echo", text="x"), ERA)
    assert await text(connection) == "x"
    assert not hall.cycles


@pytest.mark.parametrize("odd", ["Connection: close", "X-Twice: 1\r\nX-Twice: 2", "X-Empty:", "Upgrade: h2c"])
async def test_odd_heads_are_read_by_uvicorn(hall: Hall, odd: str) -> None:
    await text_of_first(hall)
    connection = await hall.place.connect()
    connection.post(call("echo", text="odd"), ERA, odd)
    status, headers, body = await connection.answer()
    assert (status, b'"odd"' in body) == (200, True)
    assert ("close" in odd) == (headers.get("connection") == "close")
    assert not hall.cycles


@pytest.mark.parametrize("line", ["HEAD / HTTP/1.1", "GET http://127.0.0.1/ HTTP/1.1", "GET / HTTP/1.0"])
async def test_lines_that_are_never_known(hall: Hall, line: str) -> None:
    """What has no body, what names a host that must be the right one, what ends the connection."""
    for _ in range(2):
        connection = await hall.place.connect()
        connection.send(f"{line}\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert (await connection.until(b"\r\n")).startswith(b"HTTP/1.1 ")
        connection.close()
    assert not hall.cycles


async def test_a_host_in_the_line_is_compared_every_time(hall: Hall) -> None:
    """RFC 9112 §3.2.2: a known path is no way around it."""
    for host, status in (("127.0.0.1", b"200"), ("evil", b"400"), ("127.0.0.1", b"200"), ("evil", b"400")):
        connection = await hall.place.connect()
        connection.send(f"GET http://{host}/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert (await connection.until(b"\r\n")).split()[1] == status


async def test_what_was_refused_teaches_nothing(hall: Hall) -> None:
    """The target of a request that uvicorn never saw is not what the one before meant."""
    connection = await hall.place.connect()
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (await connection.answer())[0] == 200
    connection.send(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (await connection.answer())[0] == 404
    connection.send(b"BREW /b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (await connection.answer())[0] == 501
    known = hall.place.program.config.http.places
    assert {line: place.scope["path"] for line, place in known.items()} == {
        b"GET /healthz HTTP/1.1": "/healthz",
        b"GET /a HTTP/1.1": "/a",
    }


async def test_a_target_means_what_it_meant(hall: Hall) -> None:
    """Escapes, a query, and how a path is looked up."""
    answers = []
    for _ in range(2):
        for target in ("/%61pi?x=%20", "/api/?y", "/healthz", "/nothing%2fhere"):
            connection = await hall.place.connect()
            connection.post(call("echo", text="x"), ERA, path=target)
            status, headers, body = await connection.answer()
            answers.append((status, headers["content-type"], body))
    assert answers[:4] == answers[4:]
    assert [status for status, _, _ in answers[:4]] == [200, 200, 405, 404]
    assert len(hall.cycles) == 4


async def test_how_many_targets_are_known_is_bounded(hall: Hall) -> None:
    connection = await hall.place.connect()
    known = hall.place.program.config.http.places
    for number in range(MOST_PLACES + 2):
        connection.send(b"GET /%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % number)
        assert (await connection.answer())[0] == 404
    assert len(known) == 2
    connection.send(b"GET /%b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % (b"x" * LONGEST_LINE))
    assert (await connection.answer())[0] == 404
    assert len(known) == 2


@pytest.mark.parametrize("path", ["/api", "/sse"])
async def test_a_stream_may_take_the_short_way(hall: Hall, path: str) -> None:
    """GET streams: the second one is opened like the first, and its client's end is noticed."""
    opening = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    connection = await hall.place.connect()
    connection.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening})
    _, headers, _ = await connection.answer()
    endpoint = hall.place.program.config.loaded_app.mcp_endpoint
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nMcp-Session-Id: "
    for number in range(2):
        listening = await hall.place.connect()
        listening.send(f"{head}{headers['mcp-session-id']}\r\n\r\n".encode())
        assert b"text/event-stream" in await listening.until(b"\r\n\r\n")
        assert len(hall.cycles) == number
        assert endpoint.streams == 1
        listening.reset()
        await until(lambda: not endpoint.streams)


async def test_errors_and_empty_answers_come_the_usual_way(hall: Hall) -> None:
    connection = await hall.place.connect()
    for _ in range(2):
        connection.post({"jsonrpc": "2.0", "method": "notifications/x"}, ERA)
        assert (await connection.answer())[0] == 202
    connection.post({}, ERA, body=b"rubbish")
    assert (await connection.answer())[0] == 400
    connection.post({}, ERA, body=b"[" * (5 << 20))
    assert (await connection.answer())[0] == 413
    assert len(hall.cycles) == 2


async def test_a_repetition_may_wait_and_others_queue_behind_it(hall: Hall) -> None:
    """A call that suspends goes on in the task in which it began; what is pipelined meanwhile keeps its place."""
    connection = await hall.place.connect()
    for _ in range(2):
        connection.post(call("timed", text="x"), ERA)
        assert await text(connection) == "x"
    connection.post(call("wait"), ERA)
    await asyncio.wait_for(hall.waiting.wait(), SECONDS)
    connection.post(call("echo", text="behind"), ERA)
    connection.post(call("echo", text="last"), ERA)
    hall.go.set()
    assert [await text(connection) for _ in range(3)] == ["waited", "behind", "last"]


async def test_a_long_request_is_counted_until_it_is_answered(hall: Hall) -> None:
    """AVAIL-03: the bound on what all connections hold is the same, whichever way a request takes."""
    await text_of_first(hall)
    load = hall.place.program.config.http.load
    connection = await hall.place.connect()
    long = orjson.dumps(call("wait")) + b" " * 20_000
    connection.post({}, ERA, body=long)
    await asyncio.wait_for(hall.waiting.wait(), SECONDS)
    assert load.held >= 20_000
    hall.go.set()
    assert await text(connection) == "waited"
    assert load.held == 0
    load.limit(10_000)
    connection.post({}, ERA, body=long)
    assert b" 503 " in (await connection.rest()).partition(b"\r\n")[0]
    assert load.held == 0


async def test_nothing_is_served_on_a_connection_that_was_given_up(hall: Hall) -> None:
    """What comes while a refusal is on its way is thrown away, however well it could be read."""
    await text_of_first(hall)
    connection = await hall.place.connect()
    connection.post(call("echo", text="x"), ERA)
    assert await text(connection) == "x"
    served = len(hall.cycles)
    hall.place.program.config.http.load.limit(10_000)
    connection.post({}, ERA, body=orjson.dumps(call("echo", text="y")) + b" " * 20_000)
    assert b" 503 " in (await connection.rest()).partition(b"\r\n")[0]
    connection.post(call("echo", text="z"), ERA)
    connection.close()
    await until(lambda: len(hall.place.program.server_state.connections) == 1)
    assert len(hall.cycles) == served


async def test_a_repetition_may_speak(hall: Hall) -> None:
    connection = await hall.place.connect()
    for _ in range(2):
        connection.post(call("speak", text="done"), ERA)
        shown = await connection.until(b"0\r\n\r\n")
        assert b"notifications/progress" in shown
        assert b'"text":"done"' in shown
    connection.post(call("echo", text="after"), ERA)
    assert await text(connection) == "after"
    assert len(hall.cycles) == 2


async def test_a_client_that_leaves_is_noticed(hall: Hall) -> None:
    """CANC-06: the newest era cancels what nobody waits for."""
    connection = await hall.place.connect()
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: wait"]
    hall.go.set()
    for number in range(2):
        asked = call("wait", number)
        asked["params"]["_meta"] = envelope
        connection.post(asked, *headers)
        if number:
            break
        assert await text(connection) == "waited"
        hall.go.clear()
        hall.waiting.clear()
    await asyncio.wait_for(hall.waiting.wait(), SECONDS)
    assert len(hall.cycles) == 1
    connection.reset()
    await asyncio.wait_for(hall.gone.wait(), SECONDS)


async def test_a_connection_that_ends_with_its_answer_is_closed(hall: Hall) -> None:
    connection = await hall.place.connect()
    for _ in range(2):
        connection.post(call("echo", text="x"), ERA)
        assert await text(connection) == "x"
    connection.post(call("wait"), ERA)
    await asyncio.wait_for(hall.waiting.wait(), SECONDS)
    for line in tuple(hall.place.program.server_state.connections):
        line.shutdown()
    hall.go.set()
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await connection.rest() == b""


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(hall: Hall) -> None:
    """One timer for all repetitions: when it rings, it looks how long the client has been idle."""
    connection = await hall.place.connect()
    [line] = await lines(hall, connection)
    timer = line.timeout_keep_alive_task
    connection.post(call("wait"), ERA)
    await asyncio.wait_for(hall.waiting.wait(), SECONDS)
    line.timeout_keep_alive_handler()  # it rings in the middle of a call
    hall.go.set()
    assert await text(connection) == "waited"
    for _ in range(2):
        connection.post(call("echo", text="x"), ERA)
        assert await text(connection) == "x"
    line.timeout_keep_alive_handler()  # too early: the last answer was just now
    assert line.timeout_keep_alive_task not in {None, timer}
    connection.post(call("echo", text="x"), ERA)
    assert await text(connection) == "x"
    line._rested -= line.timeout_keep_alive
    line.timeout_keep_alive_handler()
    assert await connection.rest() == b""


async def lines(hall: Hall, connection: Connection) -> list[Any]:
    """The server's ends, once a client has repeated itself."""
    for _ in range(3):
        connection.post(call("echo", text="x"), ERA)
        assert await text(connection) == "x"
    return list(hall.place.program.server_state.connections)


async def test_nothing_stands_by_once_all_have_left(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = await hall.place.connect()
    for _ in range(2):
        connection.post(call("echo", text="x"), ERA)
        await text(connection)
    assert asyncio.get_running_loop() in Swift._starters
    [line] = hall.place.program.server_state.connections
    left = asyncio.Event()
    lost = line.connection_lost

    def noted(error: Exception | None) -> None:
        lost(error)
        left.set()

    monkeypatch.setattr(line, "connection_lost", noted)
    connection.close()
    await asyncio.wait_for(left.wait(), SECONDS)
    assert asyncio.get_running_loop() not in Swift._starters

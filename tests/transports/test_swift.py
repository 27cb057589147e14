"""The short way for repeated requests: the same answers as the first time, in one write, and a way out for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from mcpkit import Context, Server
from mcpkit.fastapi import create_app
from mcpkit.settings import Settings
from mcpkit.transports.swift import Swift, SwiftCycle
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


@pytest.fixture
async def hall(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
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

    async with serving(create_app(server), Settings(grace_seconds=1)) as place:
        hall = Hall(place, waiting, gone, go)
        made = SwiftCycle.__init__

        def noted(cycle: SwiftCycle, line: Swift, scope: Any, body: bytes) -> None:
            made(cycle, line, scope, body)
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


async def test_what_differs_is_read_anew(hall: Hall) -> None:
    connection = await hall.place.connect()
    for length, name in ((1, "a"), (1, "a"), (900, "b"), (2, "c")):
        connection.post(call("echo", text=name * length), ERA)
        assert await text(connection) == name * length
    before = len(hall.cycles)
    assert before == 3
    connection.post(call("echo", text="x"), ERA, "Origin: http://evil.example.com")
    assert (await connection.answer())[0] == 403
    assert len(hall.cycles) == before


async def test_errors_and_empty_answers_come_the_usual_way(hall: Hall) -> None:
    connection = await hall.place.connect()
    for _ in range(2):
        connection.post({"jsonrpc": "2.0", "method": "notifications/x"}, ERA)
        assert (await connection.answer())[0] == 202
    connection.post({}, ERA, body=b"rubbish")
    assert (await connection.answer())[0] == 400
    connection.post({}, ERA, body=b"[" * (5 << 20))
    assert (await connection.answer())[0] == 413
    assert len(hall.cycles) >= 2


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

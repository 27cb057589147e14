"""A program's manners over real sockets: streams get a farewell, calls their answer, clients that leave are noticed."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from mcpkit import Context, Server
from mcpkit.fastapi import create_app
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from mcpkit.transports import program
from tests.transports.asgi_client import modern, request
from tests.transports.doors import call
from tests.transports.sockets import Connection, Place, serving


class Workshop:
    """A server whose tool waits until it may go on."""

    def __init__(self, **settings: Any) -> None:
        self.started = asyncio.Semaphore(0)
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.settings = Settings(**settings)
        self.server = Server("workshop", "1")
        self.server.tool(self.wait)
        self.server.tool(self.speak)

    @property
    def app(self) -> Any:
        return create_app(self.server, self.settings)

    async def wait(self) -> str:
        """Wait."""
        self.started.release()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "waited"

    async def speak(self, context: Context) -> str:
        """Speak, then wait."""
        await context.report_progress(1)
        return await self.wait()

    async def begun(self) -> None:
        async with asyncio.timeout(10):
            await self.started.acquire()


def headers(given: dict[str, str | None]) -> list[str]:
    return [f"{name}: {value}" for name, value in given.items()]


def tool(name: str) -> tuple[Any, list[str]]:
    message, given = modern("tools/call", {"name": name, "_meta": {}})
    message["params"]["_meta"]["progressToken"] = "t"
    return message, headers(given)


async def session_of(place: Place) -> tuple[Connection, str]:
    connection = await place.connect()
    connection.post(request("initialize", {"protocolVersion": NEWEST_HANDSHAKE.name}))
    status, fields, _ = await connection.answer()
    assert status == 200
    return connection, f"Mcp-Session-Id: {fields['mcp-session-id']}"


async def stream_of(place: Place, session: str) -> Connection:
    stream = await place.connect()
    stream.send(f"GET /api HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{session}\r\n\r\n".encode())
    await stream.until(b"data: \n\n")
    return stream


async def test_a_farewell_for_every_stream_and_an_answer_for_every_call() -> None:
    """SHL-25, SUB-08: all streams end at once, the call in flight is answered, then the program is gone."""
    shop = Workshop()
    async with serving(shop.app, shop.settings) as place:
        working, session = await session_of(place)
        working.post(call("wait"), session)
        await shop.begun()
        general = await stream_of(place, session)
        listening = await place.connect()
        message, given = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        listening.post(message, *headers(given))
        await listening.until(b"acknowledged")
        first = await place.connect()
        first.send(b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await first.until(b"session_id=")
        place.program.stop()
        assert (await general.rest()).endswith(b"0\r\n\r\n")
        assert b'"resultType":"complete"' in await listening.rest()
        assert (await first.rest()).endswith(b"0\r\n\r\n")
        shop.release.set()
        status, _, body = await working.answer()
        assert (status, b"waited" in body) == (200, True)


async def test_a_call_that_outlives_the_grace_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop(grace_seconds=0.1)
    async with serving(shop.app, shop.settings) as place:
        working = await place.connect()
        working.post(call("wait"))
        await shop.begun()
        place.program.stop()
        status, fields, body = await working.answer()
        assert (status, "retry-after" in fields) == (503, True)
        assert "error" in orjson.loads(body)
        assert shop.cancelled.is_set()


async def readiness(place: Place) -> tuple[int, dict[str, str]]:
    client = await place.connect()
    client.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    status, fields, _ = await client.answer()
    return status, fields


async def test_while_it_drains_everything_is_served_and_each_answer_ends_its_connection() -> None:
    """A proxy that has not noticed yet may send requests, open sessions and streams, on old lines and new ones."""
    shop = Workshop(drain_seconds=600)
    async with serving(shop.app, shop.settings) as place:
        old, session = await session_of(place)
        stream = await stream_of(place, session)
        place.program.stop()
        async with asyncio.timeout(10):
            found = await readiness(place)
            while found[1].get("connection") != "close":
                found = await readiness(place)
        assert found[0] == 503
        old.post(request("ping"), session)
        status, fields, _ = await old.answer()
        assert (status, fields["connection"]) == (200, "close")
        _, another = await session_of(place)
        late = await stream_of(place, another)
        place.program._hurry.set()
        assert (await stream.rest()).endswith(b"0\r\n\r\n")
        assert (await late.rest()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("leave", [Connection.close, Connection.reset])
@pytest.mark.parametrize("name", ["wait", "speak"])
async def test_a_modern_client_that_leaves_stops_its_call(leave: Any, name: str) -> None:
    """SHM-08: within two seconds, by FIN and by RST, before and after the first word."""
    shop = Workshop()
    async with serving(shop.app, shop.settings) as place:
        client = await place.connect()
        message, given = tool(name)
        client.post(message, *given)
        await shop.begun()
        leave(client)
        async with asyncio.timeout(2):
            await shop.cancelled.wait()


async def test_a_session_client_that_leaves_finds_its_answer_later() -> None:
    """SHL-10, SHL-32, over real sockets."""
    shop = Workshop()
    async with serving(shop.app, shop.settings) as place:
        _, session = await session_of(place)
        client = await place.connect()
        message = request("tools/call", {"name": "speak", "_meta": {"progressToken": 1}})
        client.post(message, session)
        head = await client.until(b"progressToken")
        last = head.decode().rpartition("id: ")[2].partition("\n")[0]
        await shop.begun()
        client.reset()
        shop.release.set()
        again = await place.connect()
        ask = f"GET /api HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{session}\r\n"
        again.send(f"{ask}Last-Event-ID: {last}\r\n\r\n".encode())
        assert b"waited" in await again.until(b"0\r\n\r\n")
        assert not shop.cancelled.is_set()


async def test_three_streams_at_once_beside_calls() -> None:
    """SHC-20."""
    shop = Workshop()
    async with serving(shop.app, shop.settings) as place:
        clients = [await place.connect() for _ in range(3)]
        message, given = tool("speak")
        for client in clients:
            client.post(message, *given)
        for client in clients:
            await client.until(b"progressToken")
        assert (await place.ask(request("ping")))["result"] == {}
        shop.release.set()
        for client in clients:
            assert b"waited" in await client.until(b"0\r\n\r\n")


async def test_a_refusal_keeps_the_connection_only_when_nothing_is_left_unread() -> None:
    shop = Workshop()
    async with serving(shop.app, shop.settings) as place:
        client = await place.connect()
        client.post(request("ping"), "Origin: http://evil.example")
        status, fields, _ = await client.answer()
        assert (status, fields.get("connection")) == (403, None)
        client.post(request("ping"))
        assert (await client.answer())[0] == 200
        client.send(b"POST /api HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9000000\r\n\r\n{")
        status, fields, _ = await client.answer()
        assert (status, fields.get("connection")) == (421, "close")
        await client.rest()


async def test_a_body_is_asked_for_only_when_it_will_be_read() -> None:
    """Expect: 100-continue is for clients that would rather know first."""
    shop = Workshop()
    expect = "Expect: 100-continue\r\nContent-Type: application/json\r\n"
    async with serving(shop.app, shop.settings) as place:
        refused, large, served = [await place.connect() for _ in range(3)]
        refused.send(f"POST /api HTTP/1.1\r\nHost: evil\r\nContent-Length: 9\r\n{expect}\r\n".encode())
        assert (await refused.answer())[0] == 421
        large.send(f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n{expect}\r\n".encode())
        assert (await large.answer())[0] == 413
        body = orjson.dumps(request("ping"))
        served.send(f"POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{expect}\r\n".encode())
        assert (await served.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        served.send(body)
        assert (await served.answer())[0] == 200


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_an_upgrade_is_declined_and_the_request_served(upgrade: str) -> None:
    shop = Workshop()
    async with serving(shop.app, shop.settings) as place:
        client = await place.connect()
        client.send(f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n".encode())
        assert (await client.answer())[0] == 200


async def test_streams_and_sessions_of_all_eras_leave_no_task_behind() -> None:
    shop = Workshop()
    async with serving(shop.app, shop.settings) as place:
        await place.ask(request("ping"))
        before = asyncio.all_tasks()
        for _ in range(5):
            _, session = await session_of(place)
            stream = await stream_of(place, session)
            stream.reset()
            client = await place.connect()
            message, given = tool("speak")
            client.post(message, *given)
            await shop.begun()
            client.reset()
        left = asyncio.all_tasks() - before
        assert not left or not (await asyncio.wait(left, timeout=5))[1]


def test_a_second_stop_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    monkeypatch.setattr(program, "leave_within", limits.append)
    one = program.HttpProgram(None, Settings(grace_seconds=3))
    one.stop()
    assert (one.should_exit, one.force_exit, limits) == (True, False, [])
    one = program.HttpProgram(None, Settings(grace_seconds=3))
    one._owns_process = True
    one.handle_exit(2, None)
    one.handle_exit(2, None)
    one._told()
    assert one._hurry.is_set()
    assert (one.force_exit, limits) == (True, [3 + program.LATE_SECONDS, program.AT_ONCE_SECONDS])


async def test_the_date_is_told_every_second_and_not_by_way_of_datetime(monkeypatch: pytest.MonkeyPatch) -> None:
    """That way leaves something behind each time, which keeps memory from being given back."""
    monkeypatch.setattr("uvicorn.server.formatdate", None)
    dates = iter(["first", "second"])
    monkeypatch.setattr(program, "format_date_time", lambda seconds: next(dates))
    one = program.HttpProgram(None, Settings())
    one.config.encoded_headers = [(b"x", b"y")]
    told = []
    for counter in range(11):
        assert not await one.on_tick(counter)
        told.append(one.server_state.default_headers)
    assert told == [[(b"date", b"first"), (b"x", b"y")]] * 10 + [[(b"date", b"second"), (b"x", b"y")]]
    one.stop()
    assert await one.on_tick(11)

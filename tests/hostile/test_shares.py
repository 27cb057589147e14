"""One caller takes all that it can get of each bound, and another is still served."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from tests.hostile.raw import BODY, PARSERS, SECONDS, call, post, standing
from tests.hostile.test_advisories import known
from tests.transports.sockets import Connection, Place

SHARE = 16
"""What one caller may hold at least, and of 64 with the default share."""
ALL = 64
META = "io.modelcontextprotocol/"
OPEN = {"protocolVersion": NEWEST_HANDSHAKE.name, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
EVENTS = ("Host: localhost", "Accept: text/event-stream")


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=["address", "principal"])
def names(request: pytest.FixtureRequest) -> tuple[str, str]:
    """How the greedy caller and the other one are told apart: what they add to their requests."""
    if request.param == "address":
        return "X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 198.51.100.7, 203.0.113.2"
    return "Authorization: Bearer alice", "Authorization: Bearer bob"


def who(names: tuple[str, str]) -> dict[str, Any]:
    return {"authenticate": known} if "Bearer" in names[0] else {}


async def ask(place: Place, body: bytes, *fields: str) -> tuple[int, dict[str, str], bytes]:
    connection = await place.connect()
    connection.send(post(body, *fields))
    answer = await connection.answer()
    connection.close()
    return answer


def request(method: str, params: Any = None, id: int = 1) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}})


async def stream(place: Place, path: str, *fields: str) -> Connection:
    connection = await place.connect()
    connection.send("\r\n".join([f"GET {path} HTTP/1.1", *EVENTS, *fields]).encode() + b"\r\n\r\n")
    return connection


def check_refused(answer: tuple[int, dict[str, str], bytes], setting: str, status: int = 429) -> None:
    """The refusal names the bound and the settings, and says when to come again."""
    assert answer[0] == status, answer
    assert int(answer[1]["retry-after"]) > 0
    message = orjson.loads(answer[2])["error"]["message"]
    assert setting in message, message
    assert ("MCP_CALLER_SHARE" in message) == (status == 429), message


async def opened(place: Place, *fields: str) -> str:
    status, headers, said = await ask(place, request("initialize", OPEN), *fields)
    assert status == 200, said
    return headers["mcp-session-id"]


async def test_sessions(parser: str, names: tuple[str, str]) -> None:
    one, other = names
    async with standing(parser, replace(Settings(), max_sessions=ALL), **who(names)) as place:
        sessions = [await opened(place, one) for _ in range(SHARE)]
        check_refused(await ask(place, request("initialize", OPEN), one), "MCP_MAX_SESSIONS")
        session = await opened(place, other)
        assert (await ask(place, BODY, other, f"Mcp-Session-Id: {session}"))[0] == 200
        connection = await place.connect()
        connection.send(
            f"DELETE /api HTTP/1.1\r\nHost: localhost\r\n{one}\r\nMcp-Session-Id: {sessions[0]}\r\n\r\n".encode()
        )
        assert (await connection.answer())[0] == 204
        await opened(place, one)


async def test_sessions_of_all_callers(parser: str) -> None:
    async with standing(parser, replace(Settings(), max_sessions=ALL)) as place:
        for number in range(ALL):
            await opened(place, f"X-Forwarded-For: 203.0.113.{number // SHARE}")
        answer = await ask(place, request("initialize", OPEN), "X-Forwarded-For: 198.51.100.1")
        check_refused(answer, "MCP_MAX_SESSIONS", 503)


async def test_without_a_share_one_caller_may_take_all(parser: str) -> None:
    async with standing(parser, replace(Settings(), max_sessions=ALL, caller_share=100)) as place:
        for _ in range(ALL):
            await opened(place)
        check_refused(await ask(place, request("initialize", OPEN)), "MCP_MAX_SESSIONS", 503)


async def test_an_address_that_a_client_makes_up_is_not_believed(parser: str) -> None:
    """Only what a trusted proxy appends counts: neither another peer's word nor what stands before it."""
    settings = replace(Settings(), max_sessions=ALL, forwarded_allow_ips=("127.0.0.9",))
    async with standing(parser, settings) as place:
        for number in range(SHARE):
            await opened(place, f"X-Forwarded-For: 203.0.113.{number}")
        check_refused(await ask(place, request("initialize", OPEN), "X-Forwarded-For: 8.8.8.8"), "MCP_MAX_SESSIONS")
    async with standing(parser, replace(settings, forwarded_allow_ips=("127.0.0.0/8",))) as place:
        for number in range(SHARE):
            await opened(place, f"X-Forwarded-For: 10.0.0.{number}, 203.0.113.1, 127.0.0.3")
        answer = await ask(place, request("initialize", OPEN), "X-Forwarded-For: 8.8.8.8, 203.0.113.1")
        check_refused(answer, "MCP_MAX_SESSIONS")


@pytest.mark.parametrize("kind", ["plain", "session"])
async def test_calls_in_flight(parser: str, names: tuple[str, str], kind: str) -> None:
    one, other = names
    async with standing(parser, replace(Settings(), max_calls=ALL), **who(names)) as place:
        fields = (one,) if kind == "plain" else (one, f"Mcp-Session-Id: {await opened(place, one)}")
        for number in range(SHARE):
            connection = await place.connect()
            connection.send(post(call("sleep", number + 2, seconds=30), *fields))
        server = place.program.config.app.mcp_server  # type: ignore[union-attr]
        async with asyncio.timeout(SECONDS):
            while server.calls.taken < SHARE:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        for body in (
            call("echo", 99, text="x"),
            request("resources/read", {"uri": "notes://a"}, 99),
        ):
            answer = await ask(place, body, *fields)
            check_refused(answer, "MCP_MAX_CALLS")
            assert orjson.loads(answer[2])["id"] == 99
            assert (await ask(place, body, other))[0] == 200
        assert (await ask(place, BODY, *fields))[0] == 200


async def test_event_streams(parser: str, names: tuple[str, str]) -> None:
    one, other = names
    async with standing(parser, replace(Settings(), max_streams=ALL), **who(names)) as place:
        streams = [await stream(place, "/sse", one) for _ in range(SHARE)]
        for each in streams:
            assert b" 200 " in await each.until(b"\r\n\r\n")
        check_refused(await (await stream(place, "/sse", one)).answer(), "MCP_MAX_STREAMS")
        assert b" 200 " in await (await stream(place, "/sse", other)).until(b"\r\n\r\n")


async def test_what_sessions_watch(parser: str, names: tuple[str, str]) -> None:
    """By bytes: in one session, of one caller, of all; what is given up, or ends, makes room."""
    one, other = names
    settings = replace(Settings(), max_subscription_bytes=64 << 10)
    async with standing(parser, settings, **who(names)) as place:

        async def watch(
            session: str, number: int, field: str, method: str = "subscribe"
        ) -> tuple[int, dict[str, str], bytes]:
            uri = f"notes://{number:04}" + "x" * 1900
            return await ask(place, request(f"resources/{method}", {"uri": uri}), field, f"Mcp-Session-Id: {session}")

        sessions = [await opened(place, one) for _ in range(2)]
        watched = 0
        while (answer := await watch(sessions[watched % 2], watched, one))[0] == 200:
            assert b"error" not in answer[2]
            watched += 1
        assert 6 <= watched <= 8
        check_refused(answer, "MCP_MAX_SUBSCRIPTION_BYTES")
        assert (await watch(sessions[0], 0, one))[0] == 200  # is watched already
        theirs = await opened(place, other)
        assert (await watch(theirs, 0, other))[0] == 200
        await watch(sessions[0], 0, one, "unsubscribe")
        assert (await watch(sessions[0], 98, one))[0] == 200
        assert (await watch(sessions[0], 99, one))[0] == 429
        connection = await place.connect()
        connection.send(
            f"DELETE /api HTTP/1.1\r\nHost: localhost\r\n{one}\r\nMcp-Session-Id: {sessions[0]}\r\n\r\n".encode()
        )
        assert (await connection.answer())[0] == 204
        assert (await watch(sessions[1], 99, one))[0] == 200


async def test_what_one_session_watches(parser: str) -> None:
    async with standing(parser) as place:
        session = f"Mcp-Session-Id: {await opened(place)}"
        for number in range(1000):
            uri = f"notes://{number:04}" + "x" * 8000
            answer = await ask(place, request("resources/subscribe", {"uri": uri}), session)
            if b"error" in answer[2]:
                break
        assert number < 140
        assert orjson.loads(answer[2])["error"]["code"] == -32602


async def test_what_listening_streams_watch(parser: str, names: tuple[str, str]) -> None:
    one, other = names

    async def listening(place: Place, field: str) -> Connection:
        meta = {f"{META}protocolVersion": NEWEST.name, f"{META}clientCapabilities": {}}
        uris = [f"notes://{number}" + "x" * 1000 for number in range(4)]
        body = request("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}, "_meta": meta})
        connection = await place.connect()
        mirrored = (f"MCP-Protocol-Version: {NEWEST.name}", "Mcp-Method: subscriptions/listen")
        connection.send(post(body, *mirrored, field))
        return connection

    settings = replace(Settings(), max_subscription_bytes=64 << 10)
    async with standing(parser, settings, **who(names)) as place:
        streams = [await listening(place, one) for _ in range(2)]
        for each in streams:
            assert b" 200 " in await each.until(b"\r\n\r\n")
        check_refused(await (await listening(place, one)).answer(), "MCP_MAX_SUBSCRIPTION_BYTES")
        assert b" 200 " in await (await listening(place, other)).until(b"\r\n\r\n")


async def from_address(place: Place, address: str) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", place.port, local_addr=(address, 0)))


async def test_connections(parser: str) -> None:
    """Of one address, which gives way to itself where it rests; a proxy stands for many."""
    async with standing(parser, replace(Settings(), max_connections=ALL)) as place:
        held = [await from_address(place, "127.0.0.2") for _ in range(SHARE)]
        held[0].send(post(BODY))
        assert (await held[0].answer())[0] == 200
        more = [await from_address(place, "127.0.0.2") for _ in range(2)]
        more[0].send(post(BODY))
        assert (await more[0].answer())[0] == 200
        assert await held[0].rest() == b""
        more[0].send(post(BODY)[:20])  # it rests no more
        answer = await more[1].answer()
        check_refused(answer, "MCP_MAX_CONNECTIONS")
        other = await from_address(place, "127.0.0.3")
        proxied = [await place.connect() for _ in range(2 * SHARE)]
        for each in (other, *proxied):
            each.send(post(BODY))
            assert (await each.answer())[0] == 200
        for each in (*held, *more, other):
            each.reset()


async def test_bodies_on_their_way(parser: str) -> None:
    settings = replace(Settings(), max_pending_bytes=4 << 20, max_body_bytes=1 << 19, max_result_bytes=1 << 19)
    async with standing(parser, settings) as place:
        head = post(b" " * (1 << 19))[: -(1 << 19)]
        held = [await from_address(place, "127.0.0.2") for _ in range(4)]
        for each in held:
            each.send(head + b" " * 400_000)
        refused = [asyncio.ensure_future(each.answer()) for each in held]
        done, _ = await asyncio.wait(refused, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        check_refused(done.pop().result(), "MCP_MAX_PENDING_BYTES")
        other = await from_address(place, "127.0.0.3")
        other.send(post(BODY + b" " * 400_000))
        assert (await other.answer())[0] == 200
        for each in refused:
            each.cancel()
        for each in (*held, other):
            each.reset()
        await asyncio.wait(refused)


async def test_requests_in_memory(parser: str, names: tuple[str, str]) -> None:
    """By what their JSON becomes, whatever connection or proxy they came over."""
    one, other = names
    junk = {"name": "sleep", "arguments": {"seconds": 30}, "_meta": {"progressToken": "t", "junk": [{"a": 1}] * 1500}}
    body = request("tools/call", junk)
    async with standing(parser, replace(Settings(), max_pending_bytes=4 << 20), **who(names)) as place:
        held = []
        for _ in range(4):
            connection = await place.connect()
            connection.send(post(body, one))
            held.append(asyncio.ensure_future(connection.answer()))
        done, _ = await asyncio.wait(held, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        check_refused(done.pop().result(), "MCP_MAX_PENDING_BYTES")
        quick = request("tools/call", {**junk, "name": "echo", "arguments": {"text": "x"}})
        assert (await ask(place, quick, other))[0] == 200
        for each in held:
            each.cancel()
        await asyncio.wait(held)

"""What clients can make a process hold, all together: bodies, answers that nobody reads, streams, connections."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import orjson
import pytest

from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST, NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from tests.hostile.raw import BODY, PARSERS, SECONDS, call, post, standing, tell
from tests.hostile.test_advisories import OPENING, answer, known, open_session
from tests.transports.sockets import Connection, Place

META = "io.modelcontextprotocol/"
SMALL = replace(Settings(), max_pending_bytes=1 << 20)


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def get(place: Place, path: str, *fields: str) -> Connection:
    """An event stream, begun."""
    connection = await place.connect()
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream", *fields]
    connection.send("\r\n".join(lines).encode() + b"\r\n\r\n")
    return connection


def listen(id: int) -> bytes:
    meta = {f"{META}protocolVersion": NEWEST.name, f"{META}clientCapabilities": {}}
    params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": params}
    mirrored = (f"MCP-Protocol-Version: {NEWEST.name}", "Mcp-Method: subscriptions/listen")
    return post(orjson.dumps(body), *mirrored)


def heavy(seconds: float, values: int) -> bytes:
    """A call that waits, with many small objects that nobody asked for."""
    junk = [{"a": 1}] * values
    params = {"name": "sleep", "arguments": {"seconds": seconds}, "_meta": {"progressToken": "t", "junk": junk}}
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


async def refused(place: Place, request: bytes, status: int, *words: bytes) -> None:
    said = await tell(place, request)
    said.check()
    assert said.statuses == [status], said.data
    assert b"retry-after" in said.data.lower()
    assert all(word in said.data for word in words), said.data


async def test_streams_are_bounded_whatever_their_kind(parser: str) -> None:
    """AVAIL-03: GET, HTTP+SSE and listen streams together; whoever goes makes room; calls go on."""
    async with standing(parser, replace(Settings(), max_streams=3)) as place:
        session = f"Mcp-Session-Id: {await open_session(place)}"
        streams = [await get(place, "/api", session), await get(place, "/sse"), await place.connect()]
        streams[2].send(listen(1))
        for stream in streams:
            assert b"200 OK" in await stream.until(b"\r\n\r\n")
        head = "HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        await refused(place, f"GET /api {head}{session}\r\n\r\n".encode(), 503, b"3 event streams")
        await refused(place, f"GET /sse {head}\r\n".encode(), 503)
        await refused(place, listen(2), 503, b'"id":2')
        assert (await answer(place, BODY, session))[0] == 200
        streams[1].reset()
        async with asyncio.timeout(SECONDS):
            while True:
                again = await get(place, "/sse")
                if b"200 OK" in await again.until(b"\r\n\r\n"):
                    break


async def test_one_caller_takes_not_all_streams(parser: str) -> None:
    """AVAIL-03: 429 for the one, room for the others."""
    settings = replace(Settings(), max_streams=3, max_caller_streams=2)
    async with standing(parser, settings, authenticate=known) as place:
        mine = [await get(place, "/sse", "Authorization: Bearer alice") for _ in range(2)]
        for stream in mine:
            assert b"200 OK" in await stream.until(b"\r\n\r\n")
        head = b"GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        await refused(
            place, head + b"Authorization: Bearer alice\r\n\r\n", 429, b"2 event streams", b"MCP_MAX_CALLER_STREAMS"
        )
        other = await get(place, "/sse", "Authorization: Bearer bob")
        assert b"200 OK" in await other.until(b"\r\n\r\n")


async def test_many_large_bodies_at_once(parser: str) -> None:
    """Those that fit are served, the others told to come again; 200 of 4 MiB took 880 MB before."""
    async with standing(parser, SMALL) as place:
        head = post(b" " * 400_000)[:-200_000]
        lines = [await place.connect() for _ in range(8)]
        for line in lines:
            line.send(head)
        waiting = [asyncio.ensure_future(line.reader.read(100)) for line in lines]
        for ended in asyncio.as_completed(waiting, timeout=SECONDS):
            await ended
            if sum(one.done() for one in waiting) >= 3:
                break
        assert all(b" 503 " in one.result() for one in waiting if one.done())
        assert not all(one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        assert (await answer(place, BODY))[0] == 200


async def test_json_that_becomes_large_in_memory(parser: str) -> None:
    """A call that is being served holds what its JSON became: up to thirty times its bytes."""
    async with standing(parser, SMALL) as place:
        first = await place.connect()
        first.send(post(heavy(30, 3000), f"MCP-Protocol-Version: {NEWEST_HANDSHAKE.name}"))
        assert b"200 OK" in await first.until(b"\r\n\r\n")
        await refused(place, post(heavy(30, 3000)), 503)
        assert (await answer(place, heavy(0, 30)))[0] == 200
        first.reset()
        async with asyncio.timeout(SECONDS):
            while (await answer(place, heavy(0, 3000)))[0] != 200:
                pass


async def test_pipelined_requests_behind_one_that_waits(parser: str) -> None:
    """They count as well: nobody reads them before the first is answered."""
    async with standing(parser, replace(SMALL, max_pending_bytes=200_000, grace_seconds=0)) as place:
        lines = [await place.connect() for _ in range(12)]
        for line in lines:
            line.send(post(call("sleep", seconds=30)) + post(b" " * 3_000_000)[:150_000])
        ends = [asyncio.ensure_future(line.rest()) for line in lines]
        async with asyncio.timeout(SECONDS):
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        assert (await answer(place, BODY))[0] == 200
        for end in ends:
            end.cancel()


NEXT = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("kind", ["get", "sse", "call"])
async def test_who_goes_with_a_request_waiting_behind_a_stream(parser: str, kind: str) -> None:
    """AVAIL-03, CANC-06: it is the stream that must be told; else it would hold its place for ever."""
    async with standing(parser, replace(Settings(), max_streams=1, keep_alive_seconds=0.1)) as place:
        if kind == "call":
            stream = await place.connect()
            stream.send(post(call("sleep", seconds=600), f"MCP-Protocol-Version: {NEWEST_HANDSHAKE.name}"))
        else:
            session = f"Mcp-Session-Id: {await open_session(place)}"
            stream = await get(place, "/sse" if kind == "sse" else "/api", session)
        assert b"200 OK" in await stream.until(b"\r\n\r\n")
        await stream.until(b"\n:\n\n" if kind == "call" else b":\n\n")  # it is watched by now
        stream.send(NEXT)
        await stream.until(b":\n\n")
        stream.reset()
        async with asyncio.timeout(SECONDS):
            while await in_use(place):
                pass


async def in_use(place: Place) -> float:
    """How many calls and streams there are, as the server says."""
    connection = await place.connect()
    connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    _, _, page = await connection.answer()
    connection.close()
    return sum(map(float, re.findall(rb"\nmcp_server_(?:active_calls|streams) ([0-9.]+)", page)))


async def test_rubbish_behind_a_waiting_request_spoils_no_answer(parser: str) -> None:
    """RFC 9112 section 9.3.2: answers come one after the other, and none within another."""
    async with standing(parser) as place:
        stream = await place.connect()
        stream.send(post(call("sleep", seconds=0.3), f"MCP-Protocol-Version: {NEWEST_HANDSHAKE.name}") + NEXT)
        await stream.until(b"\r\n\r\n")
        stream.send(b"\0\0\0\0\r\n\r\n")
        said, _, behind = (await stream.rest()).partition(b"0\r\n\r\n")
        assert b"slept" in said
        assert b"HTTP/1.1" not in said
        assert re.findall(rb"HTTP/1\.1 (\d+) ", behind) == [b"200", b"400"]


async def deaf(place: Place, path: str) -> tuple[Connection, str]:
    """An HTTP+SSE session whose client reads no more after the handshake, and where to post for it."""
    stream = await get(place, path)
    await stream.until(b"session_id=")
    uri = "/api?session_id=" + (await stream.until(b"\n")).decode().strip()
    assert (await said(place, uri, OPENING)) == 202
    stream.writer.transport.pause_reading()  # type: ignore[attr-defined]
    return stream, uri


async def said(place: Place, path: str, body: bytes) -> int:
    connection = await place.connect()
    connection.send(post(body, path=path))
    status, _, _ = await connection.answer()
    connection.close()
    return status


async def test_a_stream_that_nobody_reads_takes_no_calls_without_end(parser: str) -> None:
    """AVAIL-04: a call whose answer waits for its reader is in flight; before, each was a task for ever."""
    async with standing(parser, replace(Settings(), max_session_calls=5)) as place:
        stream, uri = await deaf(place, "/sse")
        assert await said(place, uri, call("echo", "first", text="x" * 500_000)) == 202
        async with asyncio.timeout(3 * SECONDS):  # the kernel's buffers are filled first
            for id in count():
                if await said(place, uri, call("echo", id, text="x" * 500_000)) == 429:
                    break
        stream.reset()


async def test_what_nobody_reads_is_bounded_over_all_streams(parser: str) -> None:
    """AVAIL-04: the longest queue is dropped, and its stream ends; nobody else notices."""
    async with standing(parser, SMALL) as place:
        reading = await get(place, "/sse")
        await reading.until(b"session_id=")
        own = "/api?session_id=" + (await reading.until(b"\n")).decode().strip()
        assert await said(place, own, OPENING) == 202
        await reading.until(b"protocolVersion")
        lines = [await deaf(place, "/sse") for _ in range(3)]
        async with asyncio.timeout(3 * SECONDS):  # the kernel's buffers are filled first
            for id in count():
                if 404 in [await said(place, uri, call("echo", id, text="x" * 500_000)) for _, uri in lines]:
                    break
        assert await said(place, own, BODY.replace(b'"id":1', b'"id":"mine"')) == 202
        await reading.until(b'"mine"')
        for line, _ in lines:
            line.reset()


@pytest.fixture
async def place(parser: str) -> AsyncIterator[Place]:
    async with standing(parser) as place:
        yield place


@pytest.mark.parametrize("era", ["", *HANDSHAKE_NAMES, NEWEST.name])
async def test_who_goes_at_any_stage_leaves_nothing(place: Place, era: str) -> None:
    """CANC-06, CANC-09: while the head comes, while the body comes, before the answer, in the middle of it."""
    fields: tuple[str, ...] = ()
    body = orjson.loads(call("sleep", 7, seconds=60))
    if era == NEWEST.name:
        body["params"]["_meta"] |= {f"{META}protocolVersion": era, f"{META}clientCapabilities": {}}
        fields = (f"MCP-Protocol-Version: {era}", "Mcp-Method: tools/call", "Mcp-Name: sleep")
    elif era:
        opening = orjson.loads(OPENING)
        opening["params"]["protocolVersion"] = era
        connection = await place.connect()
        connection.send(post(orjson.dumps(opening)))
        _, headers, _ = await connection.answer()
        connection.close()
        fields = (f"Mcp-Session-Id: {headers['mcp-session-id']}", f"MCP-Protocol-Version: {era}")
    request = post(orjson.dumps(body), *fields)
    for length in (1, 20, request.index(b"\r\n\r\n"), request.index(b"\r\n\r\n") + 4, len(request) - 1, len(request)):
        for rudely in (False, True):
            connection = await place.connect()
            connection.send(request[:length])
            if length == len(request) and era:
                await connection.until(b"\r\n\r\n")
            (connection.reset if rudely else connection.close)()
            if length == len(request) and fields[:1] and "Session" in fields[0]:  # it runs on, to be fetched later
                cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
                assert (await answer(place, orjson.dumps(cancel), *fields))[0] == 202
            await until_idle(place)
    assert (await answer(place, BODY))[0] == 200


async def until_idle(place: Place) -> None:
    """No call is in flight, no connection is left but the one that asks."""
    async with asyncio.timeout(SECONDS):
        while True:
            busy = await in_use(place)
            if len(place.program.server_state.connections) <= 2 and not busy:
                return


async def test_every_wrong_bearer_is_refused_alike(parser: str) -> None:
    """RSEC-01: whatever is wrong, every route that does work says the same."""

    async def nobody(headers: Mapping[str, str]) -> Principal:
        raise Refused(401, "who are you?", [(b"www-authenticate", b"Bearer")])

    async with standing(parser, authenticate=nobody) as place:
        seen: set[Any] = set()
        for value in ("", "Bearer", "Bearer x", "Basic YTpi", "bearer x", "Bearer  x", "Token x"):
            outcome = await tell(place, post(BODY, f"Authorization: {value}"))
            seen.add((*outcome.statuses, outcome.data.partition(b"\r\n\r\n")[2]))
        assert len(seen) == 1
        assert next(iter(seen))[0] == 401

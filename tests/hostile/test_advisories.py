"""What went wrong elsewhere, class by class: one named test each, on the running application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import orjson
import pytest

from mcpkit.protocol.uri_template import UriTemplate
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from tests.hostile.raw import BODY, PARSERS, call, post, standing, tell
from tests.transports.sockets import Connection, Place

EVERY_ROUTE = [
    ("POST", "/api"),
    ("GET", "/api"),
    ("DELETE", "/api"),
    ("GET", "/sse"),
    ("POST", "/api?session_id=x"),
    ("GET", "/"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/api/server-card"),
    ("GET", "/.well-known/ai-catalog.json"),
]
OPENING = orjson.dumps(
    {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"},
        },
    }
)


@pytest.fixture(params=PARSERS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with standing(request.param) as place:
        yield place


async def open_session(place: Place, *fields: str) -> str:
    connection = await place.connect()
    connection.send(post(OPENING, *fields))
    _, headers, _ = await connection.answer()
    connection.close()
    return headers["mcp-session-id"]


async def answer(place: Place, body: bytes, *fields: str) -> tuple[int, bytes]:
    connection = await place.connect()
    connection.send(post(body, "Accept: application/json", *fields))
    status, _, text = await connection.answer()
    connection.close()
    return status, text


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a@localhost"])
async def test_dns_rebinding_on_every_route(place: Place, method: str, path: str, host: str) -> None:
    """CVE-2025-66416, CVE-2025-66414, CVE-2026-35568, CVE-2026-34742."""
    request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
    assert (await tell(place, request.encode())).statuses == [421]


@pytest.mark.parametrize("path", ["/api", "/"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost.evil.example", "https://a@localhost"]
)
async def test_foreign_pages_may_not_call(place: Place, path: str, origin: str) -> None:
    """NET-01, NET-06."""
    said = await tell(place, post(BODY, f"Origin: {origin}", path=path))
    assert said.statuses == [403]
    assert b"access-control-allow-origin" not in said.data.lower()


async def test_csrf_by_a_simple_request(place: Place) -> None:
    """CVE-2026-33252."""
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/plain; application/json",
    ):
        assert (await tell(place, post(BODY, f"Content-Type: {kind}"))).statuses == [415]


@pytest.mark.parametrize("host", ["127.0.0.1/healthz?", "127.0.0.1#", "127.0.0.1:80/../healthz", "127.0.0.1\\@x"])
async def test_a_host_that_rewrites_the_path(place: Place, host: str) -> None:
    """CVE-2026-48710 (BadHost)."""
    assert (await tell(place, post(BODY, f"Host: {host}"))).statuses == [421]


async def test_session_ids_can_not_be_guessed(place: Place) -> None:
    """CVE-2025-6515, SESS-02."""
    ids = {await open_session(place) for _ in range(50)}
    assert len(ids) == 50
    assert all(len(id) >= 22 and id.isascii() and id.isprintable() for id in ids)
    assert len({id[:6] for id in ids}) == 50


async def known(headers: Mapping[str, str]) -> Principal:
    name = headers.get("authorization", "").removeprefix("Bearer ")
    if name not in {"alice", "bob"}:
        raise Refused(401, "who are you?")
    return Principal(name)


@pytest.mark.parametrize("parser", PARSERS)
async def test_somebody_else_s_session(parser: str) -> None:
    """CVE-2026-33946, GHSA-f6c5-f2ph-7x7p, STEST-02: on POST, GET, DELETE and resumption it is like an unknown one."""
    async with standing(parser, authenticate=known) as place:
        session = await open_session(place, "Authorization: Bearer alice")
        mine = f"Mcp-Session-Id: {session}"
        bob = "Authorization: Bearer bob"
        assert (await answer(place, BODY, mine, "Authorization: Bearer alice"))[0] == 200
        foreign, unknown = await answer(place, BODY, mine, bob), await answer(place, BODY, "Mcp-Session-Id: none", bob)
        assert foreign == unknown
        assert foreign[0] == 404
        for method, more in (("GET", ""), ("GET", "Last-Event-ID: 0-1\r\n"), ("DELETE", "")):
            head = f"{method} /api HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{more}"
            assert (await tell(place, f"{head}{mine}\r\n{bob}\r\n\r\n".encode())).statuses == [404]
        assert (await answer(place, BODY, mine, "Authorization: Bearer alice"))[0] == 200


async def test_one_id_in_many_sessions(place: Place) -> None:
    """CVE-2026-25536: everybody gets their own answer."""
    sessions = [await open_session(place) for _ in range(8)]

    async def mine(number: int) -> bool:
        body = call("echo", 1, text=f"for {number}")
        _, text = await answer(place, body, f"Mcp-Session-Id: {sessions[number]}")
        return f"for {number}".encode() in text

    assert all(await asyncio.gather(*(mine(number % 8) for number in range(40))))


async def test_an_id_that_is_in_flight(place: Place) -> None:
    """python-sdk #2655: refused, and the first call goes on; 1 is not "1"; afterwards the id is free again."""
    session = f"Mcp-Session-Id: {await open_session(place)}"
    first: Connection = await place.connect()
    first.send(post(call("sleep", 1, seconds=0.5), session))
    await first.until(b"\r\n\r\n")
    assert (await answer(place, BODY, session))[0] == 400
    assert (await answer(place, BODY.replace(b'"id":1', b'"id":"1"'), session))[0] == 200
    assert b"slept" in await first.until(b"0\r\n\r\n")
    assert (await answer(place, BODY, session))[0] == 200


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b"\xff\xfe", b"null", b"[[[", b'{"jsonrpc":"2.0","id":{},"method":"x"}', b"[" * 100_000],
)
async def test_one_bad_message_ends_nothing(place: Place, line: bytes) -> None:
    """CVE-2025-53365, CVE-2025-53366."""
    session = f"Mcp-Session-Id: {await open_session(place)}"
    assert (await answer(place, line, session))[0] == 400
    assert (await answer(place, BODY, session))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"Method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method\\u0000":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/list","m\\u0065thod":"ping"}',
    ],
)
async def test_keys_that_are_nearly_right(place: Place, body: bytes) -> None:
    """CVE-2026-27896, GHSA-q382-vc8q-7jhj: exact keys, none twice."""
    assert (await answer(place, body))[0] == 400


@pytest.mark.parametrize("uri", ["notes://" + "a/" * 4000, "notes://" + "%2f" * 2000, "notes://" + "a" * 1_000_000])
async def test_a_uri_that_takes_long_to_match(place: Place, uri: str) -> None:
    """CVE-2026-0621: no template backtracks."""
    began = time.perf_counter()
    body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
    assert (await answer(place, orjson.dumps(body)))[0] == 200
    UriTemplate("a://{a}-{b}/{c}{?d,e}").match("a://" + "-" * 8000)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("parser", PARSERS)
async def test_nothing_is_left_out_of_authentication(parser: str) -> None:
    """CVE-2026-33032: every route but health and public documents asks who calls."""
    async with standing(parser, authenticate=known) as place:
        for method, path in EVERY_ROUTE:
            request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            public = path in {"/metrics", "/api/server-card", "/.well-known/ai-catalog.json"}
            assert (await tell(place, request.encode())).statuses == [200 if public else 401], path


@pytest.mark.parametrize("parser", PARSERS)
async def test_calls_of_one_session_are_bounded(parser: str) -> None:
    """AVAIL-03: 429 with Retry-After, and 503 when all sessions are taken."""
    settings = Settings(max_session_calls=1, max_sessions=1)
    async with standing(parser, settings) as place:
        session = f"Mcp-Session-Id: {await open_session(place)}"
        first = await place.connect()
        first.send(post(call("sleep", 1, seconds=30), session))
        await first.until(b"\r\n\r\n")
        for body, fields, status in ((call("echo", 2, text="x"), [session], 429), (OPENING, [], 503)):
            said = await tell(place, post(body, *fields))
            assert said.statuses == [status]
            assert b"retry-after" in said.data.lower()
        first.reset()


@pytest.mark.parametrize("parser", PARSERS)
async def test_a_stream_ends_with_its_credentials(parser: str) -> None:
    """TOK-09: GET streams and the HTTP+SSE stream."""

    async def briefly(headers: Mapping[str, str]) -> Principal:
        return Principal("alice", expires=time.time() + 0.5)

    async with standing(parser, authenticate=briefly) as place:
        session = await open_session(place)
        for path, more in (("/api", f"Mcp-Session-Id: {session}\r\n"), ("/sse", "")):
            stream = await place.connect()
            head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{more}\r\n"
            stream.send(head.encode())
            assert b"200 OK" in await stream.until(b"\r\n\r\n")
            async with asyncio.timeout(10):  # the response ends, or the connection does
                while (chunk := await stream.reader.read(65536)) and not chunk.endswith(b"0\r\n\r\n"):
                    pass

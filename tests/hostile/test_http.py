"""Hostile HTTP: what is malformed or ambiguous is refused alike by both parsers, and nobody else notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from mcpkit.settings import Settings
from tests.hostile.raw import BODY, HEAD, LENGTH, PARSERS, call, post, standing, tell
from tests.transports.sockets import Place

CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"28\r\n%b\r\n0\r\n\r\n" % BODY
GOOD = HEAD + LENGTH + b"\r\n" + BODY


@pytest.fixture(params=PARSERS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with standing(request.param) as place:
        yield place


def with_field(field: bytes, body: bytes = BODY, length: bytes = LENGTH) -> bytes:
    return HEAD + length + field + b"\r\n" + body


REFUSED = {
    "obs-fold": with_field(b"X-A: b\r\n c\r\n"),
    "bare LF": with_field(b"X-A: b\nX-B: c\r\n"),
    "bare LF throughout": GOOD.replace(b"\r\n", b"\n"),
    "bare CR": with_field(b"X-A: b\rX-B: c\r\n"),
    "space before colon": with_field(b"X-A : b\r\n"),
    "no colon": with_field(b"XA\r\n"),
    "NUL": with_field(b"X-A: a\0b\r\n"),
    "control character": with_field(b"X-A: a\x01b\r\n"),
    "CL+TE": with_field(CHUNKED, CHUNKS),
    "TE+CL": HEAD + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "CL twice": with_field(LENGTH),
    "CL twice, different": with_field(b"Content-Length: 5\r\n"),
    "CL list": with_field(b"", length=b"Content-Length: 40, 40\r\n"),
    "CL +": with_field(b"", length=b"Content-Length: +40\r\n"),
    "CL -": with_field(b"", length=b"Content-Length: -40\r\n"),
    "CL hex": with_field(b"", length=b"Content-Length: 0x28\r\n"),
    "CL underscore": with_field(b"", length=b"Content-Length: 4_0\r\n"),
    "CL empty": with_field(b"", length=b"Content-Length: \r\n"),
    "TE identity": with_field(b"Transfer-Encoding: identity\r\n"),
    "TE chunked, identity": with_field(b"Transfer-Encoding: chunked, identity\r\n", CHUNKS, b""),
    "TE identity, chunked": with_field(b"Transfer-Encoding: identity, chunked\r\n", CHUNKS, b""),
    "TE gzip, chunked": with_field(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS, b""),
    "TE xchunked": with_field(b"Transfer-Encoding: xchunked\r\n", CHUNKS, b""),
    "TE twice": with_field(CHUNKED + CHUNKED, CHUNKS, b""),
    "TE folded": with_field(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS, b""),
    "TE in HTTP/1.0": with_field(CHUNKED, CHUNKS, b"").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "chunk size zz": with_field(CHUNKED, b"zz\r\n", b""),
    "chunk size -1": with_field(CHUNKED, b"-1\r\n", b""),
    "chunk size 0x28": with_field(CHUNKED, b"0x28\r\n", b""),
    "chunk size with space": with_field(CHUNKED, b"28 \r\n", b""),
    "chunk size overflow": with_field(CHUNKED, b"fffffffffffffffff\r\n", b""),
    "chunk with LF": with_field(CHUNKED, CHUNKS.replace(b"\r\n", b"\n"), b""),
    "chunk without end": with_field(CHUNKED, b"28\r\n%bXX0\r\n\r\n" % BODY, b""),
    "trailer Content-Length": with_field(CHUNKED, b"28\r\n%b\r\n0\r\nContent-Length: 3\r\n\r\n" % BODY, b""),
    "two Hosts": with_field(b"Host: 127.0.0.1\r\n"),
    "no Host": GOOD.replace(b"Host: 127.0.0.1\r\n", b""),
    "two Origins": with_field(b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n"),
    "two Content-Types": with_field(b"Content-Type: text/plain\r\n"),
    "two Authorizations": with_field(b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
    "two sessions": with_field(b"Mcp-Session-Id: a\r\nMcp-Session-Id: b\r\n"),
    "absolute target elsewhere": GOOD.replace(b"/api", b"http://evil.example/api"),
    "authority target": b"GET evil:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "two spaces": GOOD.replace(b"POST ", b"POST  "),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_can_be_read_in_two_ways_is_400_and_the_end(place: Place, name: str) -> None:
    said = await tell(place, REFUSED[name] + b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    said.check()
    assert (said.statuses, said.closed) == ([400], True)
    assert (await place.ask({"jsonrpc": "2.0", "id": 1, "method": "ping"}))["result"] == {}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GOOD.replace(b"POST", b"BREW"), 501),
        (GOOD.replace(b"POST", b"CONNECT"), 501),
        (GOOD.replace(b"POST", b"TRACE"), 405),
        (GOOD.replace(b"POST", b"PUT"), 405),
        (GOOD.replace(b"HTTP/1.1", b"HTTP/2.0"), 505),
        (GOOD.replace(b"HTTP/1.1", b"HTTP/1.9"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (GOOD.replace(b"/api", b"/api?" + b"a" * 9000), 414),
        (GOOD.replace(b"/api", b"/api?" + b"a" * 70_000), 414),
        (with_field(b"X: " + b"a" * 33_000 + b"\r\n"), 431),
        (with_field(b"X: " + b"a" * 1_000_000 + b"\r\n"), 431),
        (with_field(b"X: a\r\n" * 101), 431),
        (with_field(b"", b" " * 100, b"Content-Length: 4194305\r\n"), 413),
        (with_field(CHUNKED, b"100000\r\n%b\r\n" % (b" " * (1 << 20)) * 5, b""), 413),
        (with_field(b"Content-Encoding: gzip\r\n"), 415),
        (post(BODY, "Content-Type: text/plain"), 415),
        (post(BODY, "Content-Type: application/json; charset=utf-16"), 415),
        (GOOD.replace(b"/api", b"/api?access_token=x"), 400),
        (with_field(b"", b"{", b"Content-Length: 100\r\n"), 408),
        (b"GET / HTTP/1.1\r\nHost: ", 408),
        (GOOD.replace(b"/api", b"/../../etc/passwd"), 404),
        (GOOD.replace(b"/api", b"/%00"), 404),
        (GOOD.replace(b"/api", b"/%ff"), 404),
        (GOOD, 200),
        (b"\r\n" + GOOD, 200),
        (with_field(CHUNKED, CHUNKS, b""), 200),
        (with_field(b"Upgrade: websocket\r\nConnection: Upgrade\r\n"), 200),
        (with_field(b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"), 200),
        (with_field(b"Range: bytes=" + b"0-," * 5000 + b"\r\n"), 200),
    ],
)
async def test_the_right_status(place: Place, request_: bytes, status: int) -> None:
    """HDR-07, AVAIL-03, CVE-2025-62727 (Range)."""
    said = await tell(place, request_)
    said.check()
    assert said.statuses == [status]


@pytest.mark.parametrize("parser", PARSERS)
async def test_a_field_after_the_body_is_not_a_header(parser: str) -> None:
    """A trailer must not bring a session, an origin, or an identity."""
    async with standing(parser) as place:
        late = with_field(
            CHUNKED, b"28\r\n%b\r\n0\r\nOrigin: http://evil.example\r\nMcp-Session-Id: x\r\n\r\n" % BODY, b""
        )
        assert (await tell(place, late)).statuses == [200]


@pytest.mark.parametrize("parser", PARSERS)
async def test_a_caller_who_sends_too_much_waits(parser: str) -> None:
    """AVAIL-03: off by default; 429 with Retry-After when on."""
    async with standing(parser, Settings(rate_per_second=0.1, rate_burst=2)) as place:
        statuses = [(await tell(place, GOOD)).statuses[0] for _ in range(3)]
        assert statuses == [200, 200, 429]


@pytest.mark.parametrize("parser", PARSERS)
async def test_a_failure_tells_nothing_of_our_insides(parser: str) -> None:
    """TSEC-06."""
    async with standing(parser) as place:
        said = await tell(place, post(call("broken")))
        said.check()
        assert said.statuses == [200]
        assert b"secret" not in said.data


@pytest.mark.parametrize("parser", PARSERS)
async def test_arguments_and_results_have_a_limit(parser: str) -> None:
    """Too long arguments are refused; a result that is too long becomes an error that says so."""
    async with standing(parser) as place:
        long = await tell(place, post(call("echo", text="x" * (1 << 20))))
        assert b"MCP_MAX_ARGUMENT_BYTES" in long.data
        grown = await tell(place, post(call("echo", text="\x01" * 170_000)))  # six bytes each, twice
        assert b"ask for less" in grown.data


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("stack", [(), (Middleware(GZipMiddleware),)], ids=["bare", "middleware"])
async def test_a_probe_with_head_is_answered_as_get_without_a_body(parser: str, stack: Any) -> None:
    """RFC 9110 section 9.3.2; load balancers ask like that."""
    async with standing(parser, middleware=[*stack]) as place:
        for path in (b"/healthz", b"/readyz", b"/"):
            heads = []
            for method in (b"GET", b"HEAD"):
                connection = await place.connect()
                request = b"%b %b HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n" % (method, path)
                connection.send(request + b"Connection: close\r\n\r\n")
                head, _, body = (await connection.rest()).partition(b"\r\n\r\n")
                assert bool(body) == (method == b"GET"), path
                heads.append([line for line in head.lower().split(b"\r\n") if not line.startswith(b"date")])
            assert (heads[0][0], heads[0]) == (b"http/1.1 200 ok", heads[1]), path


async def test_an_empty_port_is_the_default_one(place: Place) -> None:
    """RFC 3986 section 3.2.3: what is meant is the Host without the colon."""
    said = await tell(place, GOOD.replace(b"Host: 127.0.0.1\r\n", b"Host: 127.0.0.1:\r\n"))
    assert said.statuses[0] == 200
    said = await tell(place, b"GET / HTTP/1.1\r\nHost: localhost:\r\n\r\n")
    assert b'"http://localhost/api"' in said.data

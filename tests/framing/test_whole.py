"""Whole requests at a glance: what is read here is what the framer, httptools and h11 read; the rest is theirs."""

from __future__ import annotations

from typing import Any

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.framing.http1 import RequestFramer
from mcpkit.framing.whole import MOST_LINES, Field, Lines, WholeRequests, in_origin_form

BODY = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LINE = b"POST /api HTTP/1.1"
FIELDS = (b"Host: localhost", b"Accept: application/json, text/event-stream", b"MCP-Protocol-Version: 2025-11-25")


Said = tuple[bytes, list[Field], bytes]
"""A request line, the fields and the body."""


def request(*fields: bytes, body: bytes = BODY, line: bytes = LINE) -> bytes:
    length = (b"Content-Length: %d" % len(body),) if body else ()
    return b"\r\n".join([line, *FIELDS, *fields, *length, b"", b""]) + body


def reader() -> WholeRequests:
    return WholeRequests(Lines())


def said(reader: WholeRequests, data: bytes) -> Said | None:
    """What is read of a request."""
    found = reader.read(data)
    if found is None:
        return None
    head, body = found
    return head.line, head.fields(len(body)), body


def as_httptools_reads(data: bytes) -> Said:
    """One whole request."""
    found: dict[str, Any] = {"fields": [], "body": b"", "ended": 0}

    class Heard:
        def on_url(self, url: bytes) -> None:
            found["url"] = url

        def on_header(self, name: bytes, value: bytes) -> None:
            found["fields"].append((name.lower(), value))

        def on_body(self, body: bytes) -> None:
            found["body"] += body

        def on_message_complete(self) -> None:
            found["ended"] += 1

    parser = httptools.HttpRequestParser(Heard())
    parser.feed_data(data)
    assert found["ended"] == 1
    assert parser.should_keep_alive()
    line = b"%b %b HTTP/%b" % (parser.get_method(), found["url"], parser.get_http_version().encode())
    return line, found["fields"], found["body"]


def as_h11_reads(data: bytes) -> Said:
    """One whole request, and nothing behind it."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    head = connection.next_event()
    assert isinstance(head, h11.Request)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
    line = b"%b %b HTTP/%b" % (head.method, head.target, head.http_version)
    return line, [(bytes(name), bytes(value)) for name, value in head.headers], body


def assert_agreed(data: bytes, found: Said) -> None:
    """Whoever reads these bytes reads this."""
    framer = RequestFramer(8192, 4096)
    assert framer.feed(data) == (data, b"")
    assert framer.idle
    assert as_httptools_reads(data) == found
    assert as_h11_reads(data) == found


@pytest.mark.parametrize(
    "data",
    [
        request(),
        request(b"Mcp-Session-Id: abc-_", b"Authorization: Bearer x.y.z"),
        request(b"Connection: keep-alive", b"X-Other: \xe4\xff"),
        request(body=b"", line=b"DELETE /api?x=%20y HTTP/1.1"),
        request(b"Content-Length: 0", body=b"", line=b"GET /sse HTTP/1.1"),
    ],
)
def test_usual_requests_are_read(data: bytes) -> None:
    ours = reader()
    for _ in range(3):
        found = said(ours, data)
        assert found is not None
        assert in_origin_form(found[0])
        assert_agreed(data, found)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BODY,
        request()[:-1],
        request() + b"x",
        request() + request(),
        request(b"Transfer-Encoding: chunked"),
        request(b"Expect: 100-continue"),
        request(b"Upgrade: h2c", b"Connection: Upgrade"),
        request(b"Connection: close"),
        request(b"Connection: keep-alive, close"),
        request(b"Content-Length: 40"),
        request(b"Host: localhost"),
        request(b"X-Twice: 1", b"x-twice: 2"),
        request(b"X-Empty:"),
        request(b"X-Blank: "),
        request(b"X-Blank: y "),
        request(b"X-Blank:  y"),
        request(b"X-Close:y"),
        request(b"X Y: z"),
        request(b"X\tY: z"),
        request(b": z"),
        request(b" folded: z"),
        request(b"X: a\nY: b"),
        request(b"X: a\rY: b"),
        request(b"X: a\0b"),
        request(b"X: a\x7fb"),
        request(b"X: " + b"y" * 4096),
        request(body=b"", line=b"POST / HTTP/1.1").replace(b"Host: localhost\r\n", b""),
        request(body=b"").replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"),
        request().replace(b"Content-Length: 40", b"Content-Length: +40"),
        request().replace(b"Content-Length: 40", b"Content-Length: 0x28"),
        request().replace(b"Content-Length: 40", b"Content-Length: 4_"),
        request().replace(b"Content-Length: 40", b"Content-Length: "),
        request().replace(b"Content-Length: 40", "Content-Length: ４".encode()),
        request().replace(b"Content-Length: 40", b"Content-Length: 040"),
        request().replace(b"Content-Length: 40", b"Content-Length: 40\r\n folded"),
        request().replace(b"Content-Length: 40", b"Content-Length: " + b"0" * 20 + b"40"),
    ],
)
def test_all_else_goes_the_usual_way(data: bytes) -> None:
    """Also behind a head that was read, and before one."""
    ours = reader()
    assert ours.read(data) is None
    assert ours.read(request()) is not None
    assert ours.read(data) is None


@pytest.mark.parametrize(
    "line",
    [
        b"POST http://localhost/api HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"POST /api#x HTTP/1.1",
        b"POST /api HTTP/1.0",
        b"POST /api HTTP/1.1 ",
        b"POST  /api HTTP/1.1",
        b"POST /a pi HTTP/1.1",
        b"POST /\xff HTTP/1.1",
        b"POST api HTTP/1.1",
        b"post /api HTTP/1.1",
        b"BREW /api HTTP/1.1",
        b"",
    ],
)
def test_lines_that_need_a_second_look(line: bytes) -> None:
    """Absolute targets name a host that has to be compared (RFC 9112 §3.2.2)."""
    assert not in_origin_form(line)


PIECES = [
    LINE,
    *FIELDS,
    b"Content-Length: ",
    b"Content-Length: %d" % len(BODY),
    b"Connection: keep-alive",
    b"\r\n",
    b"\r\n\r\n",
    BODY,
    b"X: y",
    b"\t",
    b" ",
    b"40",
    b"\n",
    b"\xff",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_what_is_read_has_one_meaning(pieces: list[bytes]) -> None:
    data = b"".join([LINE, b"\r\n", FIELDS[0], b"\r\n", *pieces])
    found = said(reader(), data)
    if found is not None and in_origin_form(found[0]):
        assert_agreed(data, found)


WHOLE = st.builds(
    lambda fields, body, line: request(*fields, body=body, line=line),
    st.lists(st.sampled_from([b"X: y", b"Mcp-Session-Id: a", b"Mcp-Session-Id: b", b"Origin: null"]), max_size=3),
    st.sampled_from([b"", b"{}", b"[1]", BODY, b"x" * 1000]),
    st.sampled_from([LINE, b"DELETE /api HTTP/1.1"]),
)


@given(st.lists(st.tuples(WHOLE, st.integers(0, 3)), max_size=6))
def test_what_came_before_changes_nothing(requests: list[tuple[bytes, int]]) -> None:
    """The last head that was read is a short cut, never another way to read."""
    ours = reader()
    for data, missing in requests:
        cut = data[: len(data) - missing]
        assert said(ours, cut) == said(reader(), cut)


def test_secrets_are_not_remembered() -> None:
    lines = Lines()
    ours = WholeRequests(lines)
    assert ours.read(request(b"Authorization: Bearer secret", b"Cookie: secret", b"X-Key: secret")) is not None
    assert any(b"localhost" in line for line in lines.known)
    assert not any(b"secret" in line for line in lines.known)


def test_what_is_remembered_is_bounded() -> None:
    lines = Lines()
    for number in range(MOST_LINES * 2):
        assert WholeRequests(lines).read(request(b"Origin: %d" % number)) is not None
        assert len(lines.known) <= MOST_LINES
    WholeRequests(lines).read(request(b"Origin: " + b"y" * 1000))
    assert max(map(len, lines.known)) < 300


def test_a_head_that_is_repeated_is_known_again() -> None:
    """By one object, for as long as nothing but the length differs, however long that is."""
    ours = reader()
    heads = []
    for data in (request(), request(body=b"{}"), request(body=b"1" * 1000), request(b"X: y"), request(b"X: y")):
        found = ours.read(data)
        assert found is not None
        heads.append(found[0])
    assert heads[0] is heads[1] is heads[2] is not heads[3]
    assert heads[3] is heads[4]


@pytest.mark.parametrize("before", [b"", b"X: Content-Length: 40\r\n", b"X-Content-Length: 40\r\n"])
def test_the_length_may_stand_anywhere(before: bytes) -> None:
    """Also behind a field that says something similar."""
    ours = reader()
    for body in (BODY, b"{}", BODY, b"2" * 400):
        length = b"%bContent-Length: %d\r\n" % (before, len(body))
        data = request(b"X-Last: 40").replace(b"Host:", length + b"Host:", 1)
        data = data.replace(b"\r\nContent-Length: 40\r\n\r\n" + BODY, b"\r\n\r\n" + body)
        found = said(ours, data)
        assert found is not None
        assert_agreed(data, found)


@pytest.mark.parametrize("missing", range(1, 6))
@pytest.mark.parametrize("size", [2, 9, 10, 99, 100, 101, 999, 1000, 1001])
@pytest.mark.parametrize("before", [2, 40, 500, 2000])
def test_a_body_that_is_cut_short_is_never_filled_up_from_the_head(before: int, size: int, missing: int) -> None:
    """Where lengths have more digits, or fewer, than the last one had."""
    ours = reader()
    assert ours.read(request(body=b"1" * before)) is not None
    whole = request(body=b"2" * size)
    assert ours.read(whole[:-missing]) is None
    assert ours.read(request(body=b"1" * before)) is not None
    assert ours.read(whole + b"3" * missing) is None
    assert said(ours, whole) == said(reader(), whole)

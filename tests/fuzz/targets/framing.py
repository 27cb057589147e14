"""Bytes of a stream: events, lines and HTTP mean the same however they arrive, and to others too (SHC-12, STDIO-02).

What must never stand here: sockets.
"""

from __future__ import annotations

import re

import h11

from mcpkit.framing.http1 import BadHttp, RequestFramer
from mcpkit.framing.ndjson import Line, LineDecoder, Overlong, encode_line
from mcpkit.framing.sse import Event, EventDecoder, EventTooLarge, encode_event
from mcpkit.framing.whole import Field, Lines, WholeRequests, in_origin_form
from tests.fuzz.targets.target import Target, cuts, parts

EVENT, LINE, HEAD, URI = 300, 40, 4096, 512
REQUEST = b"POST /api HTTP/1.1\r\nHost: localhost\r\n"


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def events(data: bytes) -> None:
    """The standard's algorithm over the whole text at once, and ours over any chunks of it."""
    heard = [_heard(chunks) for chunks in cuts(data)]
    assert all(each[1] for each in heard) or heard[0] == heard[1] == heard[2] or _near_the_bound(data)
    if not any(too_large for _, too_large in heard):
        assert heard[0][0] == reference(data), "read something else than the standard says"
        for event in heard[0][0]:
            again(event)


def again(event: Event) -> None:
    """An event that was read can be written, and is then the same."""
    if "\n" in event.data or "\r" in event.data or "\0" in event.event:
        return  # nobody writes these
    wire = encode_event(event.data.encode(), event=event.event, id=event.id, retry=event.retry)
    assert EventDecoder(10_000).feed(wire) == [event]


def reference(data: bytes) -> list[Event]:
    """WHATWG HTML §9.2.6, line by line."""
    lines = re.split("\r\n|\r|\n", data.decode("utf-8", "replace").removeprefix("\ufeff"))
    found, event, data_lines = [], Event(""), list[str]()
    for line in lines[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data_lines:
                event.data = "\n".join(data_lines)
                found.append(event)
            event, data_lines = Event(""), []
        elif field == "data":
            data_lines.append(value)
        elif field == "event":
            event.event = value or "message"
        elif field == "id" and "\0" not in value:
            event.id = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            event.retry = int(value[:15])
    return found


def _heard(chunks: list[bytes]) -> tuple[list[Event], bool]:
    decoder = EventDecoder(EVENT)
    found: list[Event] = []
    for chunk in chunks:
        try:
            found += decoder.feed(chunk)
        except EventTooLarge:
            return found, True
    return found, False


def _near_the_bound(data: bytes) -> bool:
    """A chunk that ends within a line end may meet the bound two bytes earlier, and hand out less before it does."""
    return len(data) > EVENT - 2


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lines(data: bytes) -> None:
    """Lines are what stands between newlines, the over-long ones told once each."""
    expected: list[Line] = []
    for raw in data.split(b"\n"):
        line = raw.strip(b" \t\r")
        if len(raw) > LINE:
            expected.append(Overlong(LINE))
        elif line:
            expected.append(line)
    for chunks in cuts(data):
        decoder = LineDecoder(LINE)
        assert [line for chunk in chunks for line in decoder.feed(chunk)] + decoder.finish() == expected
    sound = [line for line in expected if isinstance(line, bytes)]
    decoder = LineDecoder(LINE)
    assert decoder.feed(b"".join(map(encode_line, sound))) == sound


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def http(data: bytes) -> None:
    """What passes is the same however it is cut, and the same requests to h11: nothing is smuggled."""
    passed = [_passed(chunks) for chunks in cuts(data)]
    statuses = {status for status, _, _ in passed}
    assert len(statuses) == 1 or (None not in statuses and statuses & {414, 431}), "how it is cut decides its fate"
    if None in statuses:
        assert passed[0] == passed[1] == passed[2], "what is handed on depends on the chunks"
    for _, wire, idle in passed:
        _agreed(wire, whole=idle)


def _passed(chunks: list[bytes]) -> tuple[int | None, bytes, bool]:
    framer, wire = RequestFramer(HEAD, URI), b""
    for chunk in chunks:
        try:
            rest = chunk
            while rest:
                understood, rest = framer.feed(rest)
                assert not rest or framer.idle, "the next request was read before the end of this one"
                wire += understood
        except BadHttp as refused:
            assert refused.status in {400, 414, 431, 501, 505}
            return refused.status, wire, False
    return None, wire, framer.idle


def _agreed(wire: bytes, whole: bool) -> None:
    """h11 reads requests to the end of the bytes and wants no more where we say that nothing is missing."""
    rest = wire
    while rest:
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=2 * HEAD)
        reader.receive_data(rest)
        ended = False
        while not ended:
            event = reader.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                assert not whole, "h11 waits for more of a request that we take to be whole"
                return
            ended = isinstance(event, h11.EndOfMessage)
            if isinstance(event, h11.EndOfMessage):
                assert not list(event.headers), "a trailer passed"
        rest = reader.trailing_data[0]


def whole(data: bytes) -> None:
    """What is read at a glance is what the framer and h11 read, also behind another request."""
    first, second = parts(data, 2)
    ours = WholeRequests(Lines())
    for request in (first, second, first):
        found = _read(ours, request)
        assert found == _read(WholeRequests(Lines()), request), "what came before changes how it is read"
        if found is not None and in_origin_form(found[0]):
            assert _passed([request]) == (None, request, True), "the framer reads something else"
            _said(request, found)


def _read(ours: WholeRequests, request: bytes) -> tuple[bytes, list[Field], bytes] | None:
    found = ours.read(request)
    return None if found is None else (found[0].line, found[0].fields(len(found[1])), found[1])


def _said(request: bytes, found: tuple[bytes, list[Field], bytes]) -> None:
    line, fields, body = found
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=2 * HEAD)
    reader.receive_data(request)
    head, heard = reader.next_event(), b""
    assert isinstance(head, h11.Request)
    assert b"%b %b HTTP/%b" % (head.method, head.target, head.http_version) == line
    assert [(bytes(name), bytes(value)) for name, value in head.headers] == fields
    while isinstance(event := reader.next_event(), h11.Data):
        heard += event.data
    assert (heard, reader.trailing_data) == (body, (b"", False))


STREAM = (
    b"id: 7\nevent: message\nretry: 500\ndata: {}\n\n",
    b"data\n\ndata:\ndata: b\r\n\r\n: comment\r\rdata:  x\r\r",
    b"\xef\xbb\xbfdata: \xef\xbb\xbf\n\nid: a\0b\ndata: y\n\n",
    b"data: \xff\xe2\x82\n\nretry: 99999999999999999999\ndata: 1\n\n",
    b"data: " + b"x" * 290 + b"\n\n",
)
CHUNKED = REQUEST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"
REQUESTS = (
    REQUEST + b"Content-Length: 2\r\n\r\n{}" + REQUEST + b"Content-Length: 3\r\n\r\n{ }",
    CHUNKED,
    CHUNKED * 2,
    b"GET /sse?session_id=1 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"\r\nDELETE http://localhost/api HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost:\t[::1]:80 \r\n\r\n",
    b"GET /" + b"a" * 500 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    REQUEST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    REQUEST + b"X: a\r\n b\r\nContent-Length: 2, 2\r\n\r\n{}",
)
PAIRS = (
    REQUEST + b"Content-Length: 2\r\n\r\n{}\n\n" + REQUEST + b"Content-Length: 3\r\n\r\n{ }",
    REQUEST + b"Content-Length: 2\r\nX: y\r\n\r\n{}\n\n" + REQUEST + b"X: y\r\nContent-Length: 2\r\n\r\n{}",
    REQUEST + b"Connection: keep-alive\r\n\r\n\n\nGET /?x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    REQUEST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}\n\nGET /# HTTP/1.1\r\nHost: a\r\n\r\n",
)
WORDS = (
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: ",
    b"Upgrade: ",
    b"\r\n\r\n",
    b"\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"0\r\n\r\n",
    b"POST ",
    b"GET ",
    b"http://",
    b" ",
    b"\t",
    b"\xff",
    b"1" * 20,
)
TARGETS = (
    Target("sse", events, STREAM, (b"data:", b"id:", b"event:", b"retry:", b"\r\n", b"\n\n", b"\xef\xbb\xbf"), 600),
    Target("ndjson", lines, (b'{"a":1}\n{}\r\n\n \t[]', b"x" * 41 + b"\nshort\n"), (b"\r\n", b"\n"), 300),
    Target("http", http, REQUESTS, WORDS),
    Target("whole", whole, PAIRS, WORDS),
)

"""One strict reading of HTTP before any parser: what is refused, and that whatever passes has one meaning."""

from __future__ import annotations

import re

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.framing import http1
from mcpkit.framing.http1 import MAX_LINE, MAX_OVERHEAD, MAX_TRAILER, PIECE, BadHttp, RequestFramer

BODY = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
START = b"POST /api HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
PLAIN = START + LENGTH + b"\r\n" + BODY
IN_CHUNKS = START + CHUNKED + b"\r\n" + CHUNKS


class Framer(RequestFramer):
    """Reads one request after another, with nobody to answer in between."""

    def pass_on(self, data: bytes) -> bytes:
        """What may be handed on of all requests in ``data``."""
        passed, rest = self.feed(data)
        while rest:
            understood, rest = self.feed(rest)
            passed += understood
        return passed


def framer() -> Framer:
    return Framer(4096, 512)


def feed_all(pieces: list[bytes]) -> None:
    ours = framer()
    for piece in pieces:
        ours.pass_on(piece)


def fault(data: bytes) -> int:
    """The status that refuses these bytes, however they are cut."""
    statuses = set()
    for size in (len(data), 7, 1):
        with pytest.raises(BadHttp) as refused:
            feed_all([data[at : at + size] for at in range(0, len(data), size)])
        statuses.add(refused.value.status)
    assert len(statuses) == 1
    return statuses.pop()


@pytest.mark.parametrize("data", [PLAIN, IN_CHUNKS, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PUT /x HTTP/1.0\r\n\r\n"])
def test_what_is_sound_goes_on_unchanged(data: bytes) -> None:
    ours = framer()
    for _ in range(3):
        assert ours.pass_on(data) == data
        assert ours.idle


@given(st.lists(st.sampled_from([PLAIN, IN_CHUNKS, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]), max_size=4), st.data())
def test_how_bytes_are_cut_changes_nothing(requests: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(requests)
    ours, passed = framer(), b""
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        passed, whole = passed + ours.pass_on(whole[:size]), whole[size:]
    assert passed == b"".join(requests)
    assert ours.idle


def test_nothing_is_handed_on_before_its_head_is_whole() -> None:
    ours = framer()
    assert ours.pass_on(PLAIN[:30]) == b""
    assert not ours.idle
    assert ours.pass_on(PLAIN[30:]) == PLAIN


@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t \t", b" " * 300, b"\t" * 300])
def test_blanks_behind_a_value_are_no_part_of_it(blanks: bytes) -> None:
    """RFC 9110 section 5.5; in front of it every parser drops them itself."""
    padded = PLAIN.replace(b"localhost", b"localhost" + blanks).replace(
        b"\r\n\r\n", blanks + b"\r\nX:" + blanks + b"\r\n\r\n"
    )
    assert framer().pass_on(padded) == PLAIN.replace(b"\r\n\r\n", b"\r\nX:\r\n\r\n")
    inside = PLAIN.replace(b"localhost\r\n", b"localhost\r\nX-A: b%bc\r\n" % blanks)
    assert framer().pass_on(inside + padded)[: len(inside)] == inside


@pytest.mark.parametrize("target", [b"/api", b"http://localhost/api"])
def test_no_run_of_blanks_is_looked_at_twice(target: bytes) -> None:
    """None of the patterns tries again from within a run: each is possessive, or begins only where the run does."""
    for name, pattern in vars(http1).items():
        if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, bytes):
            lazy = re.findall(rb"(?:\*|\+)\?", pattern.pattern)
            assert not lazy, name
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nX: a%bb\r\n" % (target, b" \t" * 1000)
    assert framer().pass_on(head + LENGTH + b"\r\n" + BODY).startswith(b"POST /api HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "field",
    [
        b"X-A: b\r\n c\r\n",
        b"X-A: b\r\n\tc\r\n",
        b"X-A: b\nX-B: c\r\n",
        b"X-A: b\rX-B: c\r\n",
        b"X-A : b\r\n",
        b"X-A\t: b\r\n",
        b"XA\r\n",
        b": b\r\n",
        b"X-A: a\0b\r\n",
        b"X-A: a\x01b\r\n",
        b"X-A: a\x7fb\r\n",
        b"X-\0A: a\r\n",
        b"X(A): a\r\n",
        b"X\xe9: a\r\n",
    ],
)
def test_a_malformed_field_is_400(field: bytes) -> None:
    """HDR-02: line folding, bare line ends, spaces before the colon, control characters."""
    assert fault(START + LENGTH + field + b"\r\n" + BODY) == 400


@pytest.mark.parametrize(
    "framing",
    [
        LENGTH + b"Host: localhost\r\n",
        LENGTH + LENGTH,
        LENGTH + b"Content-Length: 5\r\n",
        b"Content-Length: 40, 40\r\n",
        b"Content-Length: +40\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x28\r\n",
        b"Content-Length: 4_0\r\n",
        b"Content-Length: 4 0\r\n",
        b"Content-Length: \r\n",
        b"Content-Length: %b40\r\n" % (b"0" * 30),
        "Content-Length: ４０\r\n".encode(),
        LENGTH + CHUNKED,
        CHUNKED + LENGTH,
        CHUNKED + CHUNKED,
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b'Transfer-Encoding: "chunked"\r\n',
        b"Transfer-Encoding: chunked;a=b\r\n",
        b"Transfer-Encoding: chunked,\r\n",
        b"Transfer-Encoding: \r\n",
        b"Transfer-Encoding:\r\n chunked\r\n",
        b"transfer-encoding:\x0bchunked\r\n",
    ],
)
def test_a_body_whose_end_can_be_read_in_two_ways_is_400(framing: bytes) -> None:
    """CVE-2025-43859 and all of its kin: CL+TE, TE+CL, CL+CL, TE+TE, and numbers that are none."""
    assert fault(START + framing + b"\r\n" + CHUNKS) == 400


@pytest.mark.parametrize("more", [0, 1, 2, 400])
def test_a_first_line_is_too_long_however_it_arrives(more: int) -> None:
    """HDR-07; found by scripts/soak: in one piece a long line went on, in several it was refused."""
    line = b"GET /%b HTTP/1.1" % (b"a" * (512 - 14 + more))
    whole = line + b"\r\nHost: a\r\n\r\n"
    if more:
        assert fault(whole) == 414
    else:
        feed_all([whole])
        feed_all([whole[at : at + 1] for at in range(len(whole))])


def test_a_request_names_its_host() -> None:
    assert fault(b"GET / HTTP/1.1\r\nX: y\r\n\r\n") == 400
    assert framer().pass_on(b"GET / HTTP/1.0\r\nX: y\r\n\r\n")


def test_chunks_belong_to_http_1_1() -> None:
    assert fault(START.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n" + CHUNKS) == 400


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n" + BODY,
        b"-28\r\n" + BODY,
        b"+28\r\n" + BODY,
        b"0x28\r\n" + BODY,
        b"28 \r\n" + BODY,
        b" 28\r\n" + BODY,
        b"28\n" + BODY,
        b"\r\n" + BODY,
        b"28;a\nb\r\n" + BODY,
        b"28;a\rb\r\n" + BODY,
        b"28\r\n" + BODY + b"\n0\r\n\r\n",
        b"28\r\n" + BODY + b"XX0\r\n\r\n",
        b"%b28\r\n" % (b"0" * 40),
        b"fffffffffffffff\r\n",
        b"28;%b\r\n" % (b"a" * MAX_LINE),
        b"1;%b\r\na\r\n" % (b"a" * 1000) * (MAX_OVERHEAD // 1000 + 1),
        b"1\r\na\r\n" * (MAX_OVERHEAD // 4 + 1),
        b"0\r\nContent-Length: 3\r\n\r\n",
        b"0\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nHost: evil\r\n\r\n",
        b"0\r\nX y\r\n\r\n",
        b"0\r\nX: y\nZ: z\r\n\r\n",
        b"0\r\nX: %b\r\n\r\n" % (b"a" * MAX_TRAILER),
        b"0\r\nX: %b" % (b"a" * MAX_TRAILER),
    ],
)
def test_malformed_chunks_are_400(chunks: bytes) -> None:
    assert fault(START + CHUNKED + b"\r\n" + chunks) == 400


@pytest.mark.parametrize("size", [1, 2, 3, 1000, PIECE - 4, PIECE, 3 * PIECE])
def test_many_chunks_at_once_pass_as_they_are(size: int) -> None:
    """Wherever a piece of them ends: in a size, a chunk, the trailer."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (size, b"x" * size) for _ in range(4 * PIECE // (size + 5)))
    ours = framer()
    for trailer in (b"", b"X: y\r\n" * 100):
        assert ours.pass_on(START + CHUNKED + b"\r\n" + chunks + b"0\r\n" + trailer + b"\r\n" + PLAIN) == (
            START + CHUNKED + b"\r\n" + chunks + b"0\r\n\r\n" + PLAIN
        )
    assert ours.idle


def test_tiny_chunks_do_not_copy_all_that_has_come_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """AVAIL-04: 256 KiB of them would hold the event loop for half a second."""
    real, seen = RequestFramer._size, set()

    def size(self: RequestFramer, data: bytes, understood: list[bytes]) -> bytes:
        seen.add(len(data))
        return real(self, data, understood)

    monkeypatch.setattr(RequestFramer, "_size", size)
    framer().pass_on(START + CHUNKED + b"\r\n" + b"1\r\nx\r\n" * PIECE)
    assert 0 < max(seen) <= PIECE


def test_extensions_and_trailers_are_dropped() -> None:
    """A field after the body never joins those before it."""
    sent = b'28;a="b";c\r\n%b\r\n0;d\r\nX-Late: y\r\n\r\n' % BODY
    assert framer().pass_on(START + CHUNKED + b"\r\n" + sent) == IN_CHUNKS


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /\r\n", 400),
        (b"POST  /api HTTP/1.1\r\n", 400),
        (b"POST\t/api HTTP/1.1\r\n", 400),
        (b"POST /ap i HTTP/1.1\r\n", 400),
        (b"POST /api HTTP/1.1a\r\n", 400),
        (b"POST /api http/1.1\r\n", 400),
        (b"POST /api\x01 HTTP/1.1\r\n", 400),
        (b"POST /api\xff HTTP/1.1\r\n", 400),
        (b"POST /api#x HTTP/1.1\r\n", 400),
        (b"POST api HTTP/1.1\r\n", 400),
        (b"POST * HTTP/1.1\r\n", 400),
        (b"POST ftp://localhost/api HTTP/1.1\r\n", 400),
        (b"POST http://evil.example/api HTTP/1.1\r\n", 400),
        (b"CONNECT evil:443 HTTP/1.1\r\n", 501),
        (b"FOO /api HTTP/1.1\r\n", 501),
        (b"post /api HTTP/1.1\r\n", 501),
        (b"POST /api HTTP/1.2\r\n", 505),
        (b"PRI * HTTP/2.0\r\n", 505),
    ],
)
def test_other_first_lines(line: bytes, status: int) -> None:
    assert fault(line + b"Host: localhost\r\n\r\n") == status


def test_a_whole_url_is_taken_for_its_path() -> None:
    for url in (b"http://localhost/api", b"HTTP://LOCALHOST/api"):
        assert framer().pass_on(PLAIN.replace(b"/api", url)) == PLAIN
    assert framer().pass_on(PLAIN.replace(b"/api", b"http://localhost?q")) == PLAIN.replace(b"/api", b"/?q")
    assert framer().pass_on(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")


def test_an_upgrade_is_not_heard() -> None:
    """There is nothing to change to; but some parsers would stop reading the body."""
    asked = PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert framer().pass_on(asked) == PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\n\r\n")


def test_empty_lines_before_a_request_are_forgiven_but_not_many() -> None:
    assert framer().pass_on(b"\r\n\r\n" + PLAIN) == PLAIN
    assert fault(b"\r\n\r\n\r\n\r\n\r\n" + PLAIN) == 400


def test_what_is_too_long_is_refused_while_it_comes() -> None:
    """HDR-07."""
    for rest in (b"", b"\r\n\r\n"):
        assert fault(START + b"X: " + b"a" * 5000 + rest) == 431
        assert fault(b"GET /" + b"a" * 5000 + rest) == 414


def test_requests_follow_each_other() -> None:
    ours = framer()
    for body in (b"{}", b"[1]", BODY, b"x" * 1000, b""):
        request = START + b"Content-Length: %d\r\nX: y\r\n\r\n" % len(body) + body
        assert ours.pass_on(request) == request
        assert ours.idle
    assert ours.pass_on(PLAIN[:-5]) == PLAIN[:-5]
    assert not ours.idle
    assert ours.pass_on(PLAIN[-5:] + PLAIN) == PLAIN[-5:] + PLAIN


@pytest.mark.parametrize("rubbish", [b"\x16\x03\x01\x02\x00\x01", b"\0\0\0\x90\xffSMBr", b"GET /\r\n", b"\n"])
def test_rubbish_is_refused_before_its_end(rubbish: bytes) -> None:
    """Nobody waits for the end of what can't become a request."""
    assert fault(rubbish) == 400


PIECES = [
    START,
    LENGTH,
    CHUNKED,
    b"\r\n",
    BODY,
    CHUNKS,
    b"0\r\n\r\n",
    b"X: y\r\n",
    b" ",
    b"\n",
    b"\r",
    b";",
    b"GET / HTTP/1.1\r\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_what_passes_has_one_meaning(pieces: list[bytes]) -> None:
    """Two very different parsers agree on all that is let through."""
    try:
        passed = framer().pass_on(b"".join(pieces))
    except BadHttp:
        return
    if passed:  # no bytes would mean the end to one of them
        assert _as_httptools_reads(passed) == _as_h11_reads(passed)


def _as_httptools_reads(data: bytes) -> list[tuple[bytes, bytes]]:
    class Reading:
        def __init__(self) -> None:
            self.requests: list[tuple[bytes, bytes]] = []
            self.target = self.body = b""

        def on_url(self, url: bytes) -> None:
            self.target, self.body = url, b""

        def on_body(self, body: bytes) -> None:
            self.body += body

        def on_message_complete(self) -> None:
            self.requests.append((self.target, self.body))

    reading = Reading()
    httptools.HttpRequestParser(reading).feed_data(data)
    return reading.requests


def _as_h11_reads(data: bytes) -> list[tuple[bytes, bytes]]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    requests, target, body = [], b"", b""
    while (event := connection.next_event()) is not h11.NEED_DATA and event is not h11.PAUSED:
        if isinstance(event, h11.Request):
            target, body = event.target, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            requests.append((target, body))
            connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
    return requests


def test_after_the_end_nothing_is_understood() -> None:
    framer = Framer(1000, 500)
    framer.pass_on(b"GET / HTTP/1.1\r\n")
    assert framer.held == 16
    framer.end()
    assert (framer.held, framer.pass_on(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")) == (0, b"")

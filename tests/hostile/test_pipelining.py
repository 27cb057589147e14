"""Requests sent ahead on one connection: each is answered as if it came alone, in order, however the bytes are cut.

What must never stand here: a look into the server; all that counts is what comes back on a socket.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise, permutations

import h11
import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from tests.hostile.raw import BODY, PARSERS, SECONDS, call, post, standing
from tests.transports.sockets import Connection, Place

HOST = "Host: 127.0.0.1"
STREAMED = f"MCP-Protocol-Version: {NEWEST_HANDSHAKE.name}"
Answer = tuple[int, bytes]


def chunked(body: bytes, size: int) -> bytes:
    """A POST whose body comes in chunks of ``size`` bytes."""
    head, _, _ = post(b"", "Transfer-Encoding: chunked").partition(b"Content-Length: 0\r\n")
    rest = post(b"").partition(b"Content-Length: 0\r\n")[2]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return head + rest + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def plain(method: str, path: str) -> bytes:
    """A request without a body."""
    return f"{method} {path} HTTP/1.1\r\n{HOST}\r\n\r\n".encode()


def waits(id: int, seconds: float = 0.05) -> bytes:
    """A call that takes a while, and whose answer is a stream."""
    return post(call("sleep", id, seconds=seconds), STREAMED)


REQUESTS = {
    "echo": post(call("echo", 1, text="first")),
    "another echo": post(call("echo", 2, text="second")),
    "ping": post(BODY),
    "slow": post(
        b'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"sleep","arguments":{"seconds":0.03}}}'
    ),
    "stream": waits(4, 0.02),
    "chunked": chunked(call("echo", 5, text="in chunks"), 16),
    "tiny chunks": chunked(BODY, 1),
    "large": post(call("echo", 6, text="x" * 100_000)),
    "notification": post(b'{"jsonrpc":"2.0","method":"notifications/x"}'),
    "no JSON": post(b"{"),
    "unknown method": post(b'{"jsonrpc":"2.0","id":7,"method":"nothing"}'),
    "fails": post(call("broken", 8)),
    "get": plain("GET", "/"),
    "head": plain("HEAD", "/"),
    "preflight": plain("OPTIONS", "/api"),
    "not found": plain("GET", "/nowhere"),
    "not allowed": plain("PUT", "/api"),
    "wrong media type": post(BODY, "Content-Type: text/plain"),
    "wrong host": post(BODY, "Host: elsewhere.example"),
}
LAST = {
    "closes": post(BODY, "Connection: close"),
    "HTTP/1.0": post(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "rubbish": b"\0\1 rubbish\r\n\r\n",
    "two lengths": post(BODY, "Content-Length: 1"),
    "too large": post(BODY).replace(b"Content-Length: %d" % len(BODY), b"Content-Length: 99999999"),
}
"""What ends the connection with its answer."""


class Reader:
    """Reads the responses on one connection with h11, which is told what was asked."""

    def __init__(self, connection: Connection, sent: Iterable[bytes]) -> None:
        self._connection = connection
        self._methods = [request.partition(b" ")[0].decode("latin-1") for request in sent]
        self._data = b""
        self.ended = False

    async def answers(self) -> list[Answer]:
        """All that are due, or as many as come before the connection ends."""
        found: list[Answer] = []
        for method in self._methods:
            answer = await self._answer("HEAD" if method == "HEAD" else "GET")
            if answer is None:
                break
            found.append(answer)
        return found

    async def end(self) -> bytes:
        """What comes after the answers, until the connection is closed."""
        rest = self._data + await self._connection.rest()
        return rest

    async def _answer(self, method: str) -> Answer | None:
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(self._data) if self._data else None
        status, body = 0, b""
        while True:
            event = reader.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(SECONDS):
                    data = await self._connection.reader.read(65536)
                if not data:
                    assert not status, "an answer was cut off"
                    return None
                reader.receive_data(data)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                assert isinstance(event, h11.EndOfMessage)
                self._data = reader.trailing_data[0]
                return status, body


@pytest.fixture(params=PARSERS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with standing(request.param, Settings()) as place:
        yield place


@asynccontextmanager
async def sending(place: Place, sent: Iterable[bytes], cuts: Iterable[int] = ()) -> AsyncIterator[Reader]:
    """All of ``sent`` ahead, cut at these places."""
    connection, data = await place.connect(), b"".join(sent)
    places = sorted({0, len(data), *cuts})
    for begins, ends in pairwise(places):
        connection.send(data[begins:ends])
        await asyncio.sleep(0)
    yield Reader(connection, sent)
    connection.reset()


async def alone(place: Place, request: bytes) -> Answer:
    """What this request is answered with on a connection of its own."""
    async with sending(place, [request]) as reader:
        [answer] = await reader.answers()
    return answer


async def each_alone(place: Place, requests: dict[str, bytes]) -> dict[str, Answer]:
    """What each of them is answered with."""
    return {name: await alone(place, request) for name, request in requests.items()}


@pytest.mark.parametrize("known", [False, True])
async def test_two_and_three_are_answered_in_order_wherever_they_are_cut(place: Place, known: bool) -> None:
    """RFC 9112 section 9.3.2: also where the server has read the same heads before."""
    names = ["echo", "chunked", "another echo"] if known else ["echo", "another echo", "get"]
    expected = await each_alone(place, {name: REQUESTS[name] for name in names}) if known else {}
    sent = [REQUESTS[name] for name in names]
    if not known:
        async with sending(place, sent) as reader:
            first = await reader.answers()
        expected = dict(zip(names, first, strict=True))
        assert [status for status, _ in first] == [200] * 3
        assert b"first" in first[0][1]
        assert b"second" in first[1][1]
    for cut in range(1, sum(map(len, sent)), 3):
        async with sending(place, sent, [cut]) as reader:
            assert await reader.answers() == [expected[name] for name in names]
    async with sending(place, sent, range(sum(map(len, sent)))) as reader:
        assert await reader.answers() == [expected[name] for name in names]


async def test_all_kinds_in_any_order_however_cut(place: Place) -> None:
    """A slow call first, a stream first, errors in the middle, bodies of all kinds and none."""
    expected = await each_alone(place, REQUESTS)
    chance = random.Random(9112)
    for _ in range(40):
        names = chance.choices(list(REQUESTS), k=chance.randrange(2, 9))
        sent = [REQUESTS[name] for name in names]
        size = sum(map(len, sent))
        cuts = [chance.randrange(size) for _ in range(chance.randrange(6))]
        async with sending(place, sent, cuts) as reader:
            assert await reader.answers() == [expected[name] for name in names], (names, cuts)


@pytest.mark.parametrize("first", ["slow", "stream", "echo", "no JSON", "large"])
@pytest.mark.parametrize("last", LAST)
async def test_after_the_answer_that_closes_nothing_is_served(place: Place, first: str, last: str) -> None:
    """RFC 9112 section 9.6; what came before it is answered as ever, and what came after it never."""
    expected = [await alone(place, REQUESTS[first])] * 2
    sent = [REQUESTS[first], REQUESTS[first], LAST[last], REQUESTS["echo"], REQUESTS["get"]]
    async with sending(place, sent) as reader:
        answers = await reader.answers()
        assert answers[:2] == expected
        assert len(answers) == 3
        assert answers[2][0] == {"closes": 200, "HTTP/1.0": 200, "too large": 413}.get(last, 400)
        assert await reader.end() == b""


@pytest.mark.parametrize("first", ["echo", "slow", "stream", "chunked", "not found"])
async def test_what_was_sent_ahead_of_the_clients_end_is_answered(place: Place, first: str) -> None:
    """RFC 9112 section 9.6: a client may end its side as soon as it has said all, as `nc -N` does."""
    names = [first, "slow", "ping", "another echo", "get"]
    expected = [await alone(place, REQUESTS[name]) for name in names]
    for cut_short in (b"", REQUESTS["ping"][:60]):
        sent = [REQUESTS["ping"], *(REQUESTS[name] for name in names)]
        connection = await place.connect()
        connection.send(b"".join(sent) + cut_short)
        connection.writer.write_eof()
        reader = Reader(connection, sent)
        assert (await reader.answers())[1:] == expected
        async with asyncio.timeout(SECONDS):
            assert await reader.end() == b""
        connection.reset()


async def test_as_many_as_one_likes(place: Place) -> None:
    """AVAIL-04: a thousand wait as bytes, and are answered; none is served while another is."""
    sent = [waits(0), *(post(call("echo", id, text=str(id))) for id in range(1, 1000)), REQUESTS["get"]]
    async with sending(place, sent) as reader:
        answers = await reader.answers()
    assert [int(found[1]) for _, body in answers for found in re.finditer(rb'"id":(\d+)', body)] == list(range(1000))
    assert {status for status, _ in answers} == {200}


@pytest.mark.parametrize("parser", PARSERS)
async def test_how_much_may_wait_is_bounded(parser: str) -> None:
    """AVAIL-03: what waits counts as held; who sends without end behind a call is not read from without end."""
    async with standing(parser, replace(Settings(), max_pending_bytes=300_000, grace_seconds=0)) as place:
        connection = await place.connect()
        connection.send(waits(0, 600) + REQUESTS["echo"] * 30_000)
        async with asyncio.timeout(SECONDS):
            await connection.until(b"\r\n\r\n")
        assert connection.writer.transport.get_write_buffer_size() > 0
        assert (await alone(place, REQUESTS["echo"]))[0] == 200
        connection.reset()


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("order", list(permutations(["ping", "echo", "notification"])))
async def test_a_draining_server_closes_with_its_answer(parser: str, order: tuple[str, ...]) -> None:
    """RFC 9112 section 9.6: it has said so, whichever way the answer takes, and serves nothing behind it."""
    settings = replace(Settings(), drain_seconds=60)
    async with standing(parser, settings) as place:
        for name in order:  # their heads are known then
            await alone(place, REQUESTS[name])
        place.program.stop()
        state = place.program.server_state
        async with asyncio.timeout(SECONDS):
            while (b"connection", b"close") not in state.default_headers:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)
        async with sending(place, [REQUESTS[name] for name in order]) as reader:
            assert len(await reader.answers()) == 1
            assert await reader.end() == b""
        place.program.stop()

"""The shorter ways out of uvicorn's cycle: what is said in one turn leaves in one write, in order, and never late."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from mcpkit.transports import cycles
from mcpkit.transports.asgi import CLOSE, EVENT_HEADERS, JSON_FIELDS, JSON_TYPE
from mcpkit.transports.cycles import HOLD_BYTES, HOLD_SECONDS, DirectCycle


class Pipe:
    """The transport of a connection and its flow control."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write_paused = False
        self.closed = False
        self.read_resumed = 0
        self.answered = 0

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def resume_reading(self) -> None:
        self.read_resumed += 1

    def complete(self) -> None:
        self.answered += 1


@pytest.fixture
def pipe() -> Pipe:
    return Pipe()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The monotonic clock that the module sees."""
    clock = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(cycles, "monotonic", lambda: clock.seconds)
    return clock


@pytest.fixture
async def cycle(pipe: Pipe, now: SimpleNamespace) -> DirectCycle:
    logger: Any = logging.getLogger("uvicorn.error")
    transport: Any = pipe
    scope: Any = {"type": "http", "method": "POST"}
    made = DirectCycle(
        scope,
        transport,
        transport,
        logger,
        logger,
        False,
        [(b"date", b"now")],
        asyncio.Event(),
        False,
        True,
        pipe.complete,
    )
    made.spoke = now.seconds
    return made


HEAD = b"".join(b"%b: %b\r\n" % field for field in [(b"date", b"now"), *EVENT_HEADERS])


async def test_an_answer_is_one_write(cycle: DirectCycle, pipe: Pipe) -> None:
    assert cycle.answer_whole(200, JSON_FIELDS, (), b"{}")
    assert pipe.written == [b"HTTP/1.1 200 OK\r\ndate: now\r\n%b: %b\r\ncontent-length: 2\r\n\r\n{}" % JSON_TYPE]
    assert cycle.response_complete
    assert cycle.message_event.is_set()
    assert pipe.answered == 1
    assert not cycle.answer_whole(200, JSON_FIELDS, (), b"{}")
    assert not cycle.begin_pieces(EVENT_HEADERS)


async def test_an_answer_may_have_fields_of_its_own(cycle: DirectCycle, pipe: Pipe) -> None:
    assert cycle.answer_whole(202, (), ((b"mcp-session-id", b"7"),), b"")
    assert pipe.written == [b"HTTP/1.1 202 Accepted\r\ndate: now\r\nmcp-session-id: 7\r\ncontent-length: 0\r\n\r\n"]


async def test_no_content_has_no_length(cycle: DirectCycle, pipe: Pipe) -> None:
    """RFC 9110 §8.6."""
    assert cycle.answer_whole(204, (), (), b"")
    assert pipe.written == [b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n"]


@pytest.mark.parametrize("field", [CLOSE, (b"x", b"a\r\ny: b"), (b"x", b"a\ny: b")])
async def test_fields_that_do_more_take_the_usual_way(cycle: DirectCycle, pipe: Pipe, field: Any) -> None:
    """One that ends the connection, and a line break, which uvicorn refuses."""
    assert not cycle.answer_whole(200, JSON_FIELDS, (field,), b"{}")
    assert pipe.written == []
    assert not cycle.response_started


async def test_a_long_answer_is_not_copied(cycle: DirectCycle, pipe: Pipe) -> None:
    body = b"x" * (HOLD_BYTES + 1)
    assert cycle.answer_whole(200, JSON_FIELDS, (), body)
    assert pipe.written[0].endswith(b"content-length: %d\r\n\r\n" % len(body))
    assert pipe.written[1] is body


async def test_what_is_said_in_one_turn_leaves_in_one_write(cycle: DirectCycle, pipe: Pipe) -> None:
    assert cycle.begin_pieces(EVENT_HEADERS)
    assert cycle.write_piece(b"a")
    assert cycle.write_piece(b"bc")
    assert pipe.written == []
    await asyncio.sleep(0)
    assert pipe.written == [b"HTTP/1.1 200 OK\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n"]
    assert cycle.write_piece(b"d")
    assert cycle.end_pieces(b"e")
    assert pipe.written[1:] == [b"1\r\nd\r\n1\r\ne\r\n0\r\n\r\n"]
    assert cycle.response_complete
    await asyncio.sleep(0)
    assert len(pipe.written) == 2
    assert not cycle.write_piece(b"late")
    assert not cycle.end_pieces(b"late")


async def test_a_handler_that_works_without_waiting_is_not_held_up(
    cycle: DirectCycle, pipe: Pipe, now: SimpleNamespace
) -> None:
    """What it says after a while leaves at once, with what is held."""
    cycle.begin_pieces(EVENT_HEADERS)
    cycle.write_piece(b"a")
    now.seconds += 2 * HOLD_SECONDS
    cycle.write_piece(b"b")
    assert pipe.written[0].endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n")
    cycle.write_piece(b"c")
    assert len(pipe.written) == 1
    await asyncio.sleep(0)
    assert pipe.written[1:] == [b"1\r\nc\r\n"]


async def test_much_is_not_held(cycle: DirectCycle, pipe: Pipe) -> None:
    cycle.begin_pieces(EVENT_HEADERS)
    cycle.write_piece(b"x" * HOLD_BYTES)
    assert len(pipe.written) == 1


async def test_the_usual_way_comes_behind_what_is_held(cycle: DirectCycle, pipe: Pipe) -> None:
    cycle.begin_pieces(EVENT_HEADERS)
    cycle.write_piece(b"a")
    await cycle.send({"type": "http.response.body", "body": b"b"})
    assert b"".join(pipe.written).endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
    assert cycle.response_complete


async def test_pieces_follow_a_head_that_went_the_usual_way(cycle: DirectCycle, pipe: Pipe) -> None:
    assert not cycle.write_piece(b"too early")
    await cycle.send({"type": "http.response.start", "status": 200, "headers": [*EVENT_HEADERS]})
    assert cycle.write_piece(b"a")
    await asyncio.sleep(0)
    assert pipe.written[1:] == [b"1\r\na\r\n"]


@pytest.mark.parametrize("hindrance", ["write_paused", "disconnected", "keep_alive"])
async def test_what_must_wait_or_can_t_go_takes_the_usual_way(cycle: DirectCycle, pipe: Pipe, hindrance: str) -> None:
    """A client that does not read, has gone, or whose connection ends with the answer."""
    pipe.write_paused = hindrance == "write_paused"
    cycle.disconnected = hindrance == "disconnected"
    cycle.keep_alive = hindrance != "keep_alive"
    assert not cycle.answer_whole(200, JSON_FIELDS, (), b"{}")
    assert not cycle.begin_pieces(EVENT_HEADERS)
    assert pipe.written == []


async def test_what_is_held_for_a_client_that_goes_is_dropped(cycle: DirectCycle, pipe: Pipe) -> None:
    cycle.begin_pieces(EVENT_HEADERS)
    cycle.disconnected = True
    await asyncio.sleep(0)
    assert pipe.written == []
    assert not cycle.write_piece(b"a")


async def test_a_connection_that_is_to_end_does_so_with_the_stream(cycle: DirectCycle, pipe: Pipe) -> None:
    """The server goes down while a stream is open."""
    cycle.begin_pieces(EVENT_HEADERS)
    cycle.keep_alive = False
    assert cycle.end_pieces(b"a")
    assert pipe.closed


async def test_who_asks_is_told_once_that_the_client_has_gone(cycle: DirectCycle, pipe: Pipe) -> None:
    told: list[int] = []
    assert cycle.tell_gone(lambda: told.append(1))
    assert pipe.read_resumed == 1
    cycle.disconnected = True
    cycle.lost()
    cycle.lost()
    assert told == [1]
    assert not cycle.tell_gone(lambda: told.append(2))


async def test_nobody_is_told_of_a_client_that_goes_with_its_answer(cycle: DirectCycle) -> None:
    told: list[int] = []
    cycle.tell_gone(lambda: told.append(1))
    cycle.answer_whole(200, JSON_FIELDS, (), b"{}")
    cycle.lost()
    assert told == []

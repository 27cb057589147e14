"""The events of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from mcpkit.client.errors import ConnectionLost, ProtocolViolation
from mcpkit.client.limits import Bounds, Deadlines, Patience
from mcpkit.client.transports.events import EventStream
from tests.client.scripted import soon

PATIENCE = Patience(bounds=Bounds(message_bytes=100), deadlines=Deadlines(stream_end=0.01))


class Answer:
    """An answer whose chunks the test gives; an exception among them is raised."""

    status = 200

    def __init__(self, *chunks: bytes | Exception, endless: bool = False) -> None:
        self.headers = {"content-type": "text/event-stream"}
        self._chunks = chunks
        self._endless = endless
        self.taken = 0
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.taken += 1
            yield chunk
        if self._endless:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


async def test_events_across_chunks() -> None:
    """TCLI-07: however the bytes are cut; None at the end."""
    stream = EventStream(Answer(b"id: 1\nda", b"ta: a\n\ndata: b\n", b"\nretry: 1500\n\ndata: lost"), PATIENCE)
    first, second = await soon(stream.next()), await soon(stream.next())
    assert first is not None
    assert second is not None
    assert (first.data, second.data) == ("a", "b")
    assert await soon(stream.next()) is None
    assert (stream.last_event_id, stream.retry_seconds, stream.fruitful) == ("1", 1.5, True)


async def test_a_priming_event_is_no_fruit() -> None:
    """SHL-07: an id to resume after, and nothing else."""
    stream = EventStream(Answer(b"id: p\ndata:\n\n"), PATIENCE)
    event = await soon(stream.next())
    assert event is not None
    assert (event.data, stream.fruitful, stream.last_event_id, stream.retry_seconds) == ("", False, "p", None)


async def test_an_event_without_end_is_too_large() -> None:
    """AVAIL-07."""
    with pytest.raises(ProtocolViolation, match="100 bytes"):
        await soon(EventStream(Answer(b"data: " + b"x" * 60, b"x" * 60), PATIENCE).next())


async def test_a_break_is_told() -> None:
    """The caller decides whether to resume."""
    stream = EventStream(Answer(b"data: a\n\n", ConnectionLost("cut")), PATIENCE)
    assert await soon(stream.next()) is not None
    with pytest.raises(ConnectionLost):
        await soon(stream.next())


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b": bye\n\n"),
        Answer(b"", endless=True),
        Answer(*[b"x" * 1024] * 1000),
        Answer(ConnectionLost("cut")),
    ],
    ids=["ends", "hangs", "floods", "breaks"],
)
async def test_the_rest_is_drained_within_bounds(answer: Answer) -> None:
    """What follows an answer saves the connection or costs it, never the client."""
    await soon(EventStream(answer, PATIENCE).drain())
    assert answer.closed
    assert answer.taken <= 65

"""The way back into a stream."""

from __future__ import annotations

import pytest

from mcpkit.client.errors import ConnectionLost, HttpRefused, ProtocolViolation, Unreachable
from mcpkit.client.http import HttpAnswer
from mcpkit.client.limits import Bounds, Patience, Pauses
from mcpkit.client.transports.events import EventStream
from mcpkit.client.transports.resumption import Trail, as_stream, content_type
from tests.client.scripted import soon
from tests.client.transports.test_events import Answer

PATIENCE = Patience(bounds=Bounds(attempts=3), pauses=Pauses(first=0.0, most=0.0))


async def over(*chunks: bytes) -> EventStream:
    """A stream that has been read to its end."""
    stream = EventStream(Answer(*chunks), PATIENCE)
    while await soon(stream.next()) is not None:
        pass
    return stream


def answer(status: int = 200, kind: str = "text/event-stream") -> Answer:
    made = Answer()
    made.status = status
    made.headers = {"content-type": kind}
    return made


async def test_the_trail_remembers() -> None:
    """SHL-31, SHL-35: the last id and the wait, of whichever stream said them last."""
    trail = Trail(PATIENCE)
    trail.note(await over(b"id: a\nretry: 500\ndata: x\n\n"))
    assert (trail.last_id, trail.retry, trail.fruitless, trail.pause()) == ("a", 0.5, 0, 0.5)
    trail.note(await over(b": nothing\n\n"))
    assert (trail.last_id, trail.retry, trail.fruitless) == ("a", 0.5, 1)
    trail.note(await over(b"id: b\nretry: 10\n\n"))
    assert (trail.last_id, trail.retry, trail.fruitless) == ("b", 0.01, 2)
    assert trail.pause() >= 0.1, "a server that wants no pause gets one when nothing comes of it"


async def test_pauses_grow_while_attempts_fail() -> None:
    """AVAIL-07: never shorter than what the server asked for (SHL-08)."""
    trail = Trail(Patience(pauses=Pauses(first=1.0, most=4.0)))
    assert 0.75 <= trail.pause() <= 1.0
    trail.failures = 3
    assert 3.0 <= trail.pause() <= 4.0
    trail.note(await over(b"retry: 9000\n\n"))
    assert trail.pause() == 9.0


async def test_reopening_takes_up_after_the_last_id() -> None:
    """SHL-31: failures in between are borne, a few of them."""
    asked: list[str | None] = []

    async def get(last_id: str | None) -> HttpAnswer:
        asked.append(last_id)
        if len(asked) < 3:
            raise Unreachable("not yet")
        return answer()

    trail = Trail(PATIENCE)
    trail.last_id = "a"
    assert (await soon(trail.reopen(get))).status == 200
    assert asked == ["a", "a", "a"]
    assert trail.failures == 0


async def test_reopening_is_given_up() -> None:
    """SHL-35: the answer is lost, and the server may have served the request."""

    async def never(last_id: str | None) -> HttpAnswer:
        raise ConnectionLost("no")

    async def expired(last_id: str | None) -> HttpAnswer:
        return answer(404)

    async def page(last_id: str | None) -> HttpAnswer:
        return answer(200, "text/html")

    with pytest.raises(ConnectionLost, match="3 attempts") as lost:
        await soon(Trail(PATIENCE).reopen(never))
    assert lost.value.sent
    with pytest.raises(ConnectionLost, match="HTTP 404"):
        await soon(Trail(PATIENCE).reopen(expired))
    with pytest.raises(ProtocolViolation, match="text/html"):
        await soon(Trail(PATIENCE).reopen(page))


async def test_what_is_a_stream() -> None:
    """TCLI-09: parameters and case do not matter; anything else is closed and told."""
    fine = answer(200, "Text/Event-Stream; charset=utf-8")
    assert await as_stream(fine) is fine
    for bad, error in ((answer(405), HttpRefused), (answer(200, ""), ProtocolViolation)):
        with pytest.raises(error):
            await as_stream(bad)
        assert bad.closed
    assert content_type(answer(200, " A/B ;x")) == "a/b"

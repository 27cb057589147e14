"""The stream on which a server speaks unasked."""

from __future__ import annotations

import asyncio

from mcpkit.client.errors import AuthorizationFailed, ConnectionLost, SessionEnded, Unreachable
from mcpkit.client.http import HttpAnswer
from mcpkit.client.limits import Bounds, Patience, Pauses
from mcpkit.client.transports.standing_stream import StandingStream
from mcpkit.framing.sse import Event
from tests.client.scripted import soon, until
from tests.client.transports.test_events import Answer
from tests.client.transports.test_resumption import answer

PATIENCE = Patience(bounds=Bounds(attempts=2), pauses=Pauses(first=0.0, most=0.0))


class Server:
    """Answers one GET after the other; the last for ever."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[str | None] = []
        self.heard: list[Event] = []

    async def get(self, last_id: str | None) -> HttpAnswer:
        self.asked.append(last_id)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    def stream(self) -> StandingStream:
        return StandingStream(self.get, PATIENCE, self.heard.append)


async def test_it_is_reopened_after_the_last_event() -> None:
    """SHL-20, SHL-31: what comes is handed on; the end of one is the beginning of the next."""
    server = Server(Answer(b"id: 1\ndata: a\n\n"), Answer(b"id: 2\ndata: b\n\n"), Answer(endless=True))
    standing = server.stream()
    task = asyncio.create_task(standing.run())
    await soon(standing.settled.wait())
    await until(lambda: len(server.asked) == 3)
    assert server.asked == [None, "1", "2"]
    assert [event.data for event in server.heard] == ["a", "b"]
    task.cancel()


async def test_a_server_without_one_is_left_in_peace() -> None:
    """TCLI-06, SHL-21: 405, and whatever else careless servers answer; that is not the end of the session."""
    for status in (405, 404, 400, 501):
        server = Server(answer(status))
        standing = server.stream()
        assert await soon(standing.run()) is None
        assert standing.settled.is_set()
        assert server.asked == [None]


async def test_a_stream_that_is_gone_ends_the_session() -> None:
    """SHL-45: once there was one, 404 means that the session is unknown."""
    server = Server(Answer(b": hi\n\n"), answer(404))
    assert isinstance(await soon(server.stream().run()), SessionEnded)


async def test_an_expired_event_is_begun_afresh() -> None:
    """SHL-33: 400 to Last-Event-ID."""
    server = Server(Answer(b"id: 1\ndata: a\n\n"), answer(400), Answer(b"data: b\n\n"), answer(405))
    assert await soon(server.stream().run()) is None
    assert server.asked[:3] == [None, "1", None]
    assert [event.data for event in server.heard] == ["a", "b"]


async def test_trouble_is_borne_only_so_long() -> None:
    """AVAIL-07: a few failures in a row; authorization that fails ends it at once."""
    server = Server(Unreachable("no"))
    assert await soon(server.stream().run()) is None
    assert len(server.asked) == 2
    server = Server(Answer(b"data: a\n\n"), Unreachable("no"))
    assert isinstance(await soon(server.stream().run()), ConnectionLost)  # there was one: its session can't be trusted
    assert len(server.asked) == 3
    server = Server(AuthorizationFailed("no"))
    assert await soon(server.stream().run()) is None
    assert len(server.asked) == 1


async def test_a_page_is_no_stream() -> None:
    """TCLI-09."""
    server = Server(answer(200, "text/html"))
    assert await soon(server.stream().run()) is None
    assert len(server.asked) == 1

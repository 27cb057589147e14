"""An event stream on one response, and the guard of its line."""

from __future__ import annotations

import asyncio
from typing import Any

from mcpkit.settings import Settings
from mcpkit.transports.asgi import Visit
from mcpkit.transports.streams import FAIR, KEEP_ALIVE, EventResponse, Guard, Patience


class Line:
    """The sending half of a connection."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.fault: Exception | None = None
        self.full = False

    async def send(self, event: Any) -> None:
        if self.fault is not None:
            raise self.fault
        if self.full:
            await asyncio.Event().wait()
        self.sent.append(event)

    def response(self, **patience: float) -> EventResponse:
        visit = Visit({}, None, self.send, {}, 3)  # type: ignore[arg-type]
        return EventResponse(visit, Patience(**patience))  # type: ignore[arg-type]


async def test_head_events_end() -> None:
    line = Line()
    response = line.response()
    await response.begin()
    await response.event(b"{}", "1-1")
    await response.write(KEEP_ALIVE)
    await response.end()
    await response.end()
    await response.event(b"too late")
    assert line.sent[0]["status"] == 200
    assert [event["body"] for event in line.sent[1:]] == [b"id: 1-1\ndata: {}\n\n", b":\n\n", b""]
    assert not line.sent[-1].get("more_body")


async def test_a_broken_line_closes_the_response_quietly() -> None:
    """Servers that raise when the client has gone must not take the handler down."""
    line = Line()
    response = line.response()
    await response.begin()
    line.fault = ConnectionResetError()
    await response.event(b"{}")
    assert not response.open
    await response.end()


async def test_a_client_that_reads_nothing_is_given_up() -> None:
    line = Line()
    response = line.response(send=0.01)
    await response.begin()
    line.full = True
    await response.event(b"{}")
    assert not response.open


async def test_who_speaks_without_end_lets_others_have_a_turn() -> None:
    response = Line().response()
    await response.begin()
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    for _ in range(FAIR):
        await response.event(b"{}")
    assert turns == [1]


async def test_the_guard_tells_of_silence_and_of_the_end() -> None:
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    silences, gone = asyncio.Semaphore(0), asyncio.Event()

    async def silent() -> None:
        silences.release()

    guard = Guard(events.get, 0.01, gone.set, silent)
    guard.arm(0)
    async with asyncio.timeout(5):
        await silences.acquire()
        await silences.acquire()
        events.put_nowait({"type": "http.request"})
        events.put_nowait({"type": "http.disconnect"})
        await gone.wait()
    guard.disarm()


async def test_a_disarmed_guard_never_wakes() -> None:
    guard = Guard(asyncio.Queue().get, 0.01, lambda: None, asyncio.Event().wait)  # type: ignore[arg-type]
    guard.arm(0)
    guard.disarm()
    guard.disarm()
    await asyncio.sleep(0)
    assert guard._task is None


def test_patience_comes_from_the_settings() -> None:
    settings = Settings(keep_alive_seconds=1, send_seconds=2, retry_ms=3)
    assert Patience.of(settings) == Patience(keep_alive=1, send=2, retry_ms=3)

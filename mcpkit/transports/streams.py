"""An event stream as the body of one HTTP response, and the guard that watches the line of a long one.

What must never stand here: what the messages are, sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from mcpkit.framing.sse import comment, encode_event
from mcpkit.settings import Settings
from mcpkit.transports.asgi import EVENT_HEADERS, Receive, Visit
from mcpkit.transports.steps import Resumed

KEEP_ALIVE: Final = comment()
FAIR: Final = 64
"""After so many events in a row others get a turn: a client that reads fast never makes the sender wait."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a response waits for what, in seconds (``retry_ms``: milliseconds)."""

    keep_alive: float = 15.0
    send: float = 30.0
    watch_after: float = 0.25
    """A call that lives longer than this has its caller watched."""
    retry_ms: int = 1000

    @classmethod
    def of(cls, settings: Settings) -> Patience:
        """As the settings say."""
        return cls(keep_alive=settings.keep_alive_seconds, send=settings.send_seconds, retry_ms=settings.retry_ms)


class EventResponse:
    """The event stream of one HTTP response. Writing to one that is closed, or whose client has gone, does nothing."""

    __slots__ = ("_patience", "_visit", "_written", "begun", "ended", "open")

    def __init__(self, visit: Visit, patience: Patience) -> None:
        self._visit = visit
        self._patience = patience
        self._written = 0
        self.open = True
        """Whether the client can still get events here."""
        self.begun = False
        self.ended = False

    async def begin(self) -> None:
        """Send the head."""
        self.begun = True
        headers = [*EVENT_HEADERS, *self._visit.extra]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    def event(self, message: bytes, id: str | None = None) -> Awaitable[None]:
        """Send one message."""
        return self.write(encode_event(message, id=id))

    async def write(self, chunk: bytes) -> None:
        """Send events or comments that are framed already."""
        if self.open:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._written += 1
            if self._written % FAIR == 0:
                await asyncio.sleep(0)

    async def end(self) -> None:
        """End the response; may be called twice."""
        if self.open and not self.ended:
            self.ended = True
            await self._send({"type": "http.response.body", "body": b""})
        self.open = False

    async def _send(self, event: dict[str, object]) -> None:
        try:
            steps = self._visit.send(event).__await__()
            try:
                waited = next(steps)
            except StopIteration:
                return
            async with asyncio.timeout(self._patience.send):
                await Resumed(steps, waited)
        except (TimeoutError, OSError):
            self.open = False


class Guard:
    """Watches the line of one long response, in a task that is born late: has the caller gone, is the line silent?"""

    __slots__ = ("_gone", "_receive", "_seconds", "_silent", "_task", "_timer")

    def __init__(
        self, receive: Receive, seconds: float, gone: Callable[[], None], silent: Callable[[], Awaitable[None]]
    ) -> None:
        """``gone`` is called once when the client has left, ``silent`` every ``seconds`` until then."""
        self._receive = receive
        self._seconds = seconds
        self._gone = gone
        self._silent = silent
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, delay: float) -> None:
        """Begin to watch after ``delay`` seconds."""
        self._timer = asyncio.get_running_loop().call_later(delay, self.watch)

    def watch(self) -> None:
        """Begin to watch now."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def disarm(self) -> None:
        """Watch no more; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    event = await self._receive()
            except TimeoutError:
                await self._silent()
                continue
            if event["type"] == "http.disconnect":
                self._gone()
                return

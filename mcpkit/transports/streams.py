"""An event stream as the body of one HTTP response, and the guard that watches the line of a long one.

What must never stand here: what the messages are, sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mcpkit.framing.sse import comment, encode_event
from mcpkit.settings import Settings
from mcpkit.transports.asgi import EVENT_HEADERS, Receive, Visit
from mcpkit.transports.steps import Resumed

Write: TypeAlias = Callable[[bytes], bool]

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
    """The event stream of one HTTP response. Writing to one that is closed, or whose client has gone, does nothing.

    Where the server offers bytes a way past its events (cycles.py), they take it as long as nothing has to wait.
    """

    __slots__ = ("_end", "_patience", "_put", "_visit", "_written", "begun", "ended", "open")

    def __init__(self, visit: Visit, patience: Patience) -> None:
        self._visit = visit
        self._patience = patience
        self._put: Write = _no
        self._end: Write = _no
        self._written = 0
        self.open = True
        """Whether the client can still get events here."""
        self.begun = False
        self.ended = False

    async def begin(self) -> None:
        """Send the head."""
        self.begun = True
        extra, server = self._visit.extra, getattr(self._visit.send, "__self__", None)
        if extra or not getattr(server, "begin_pieces", _no)(EVENT_HEADERS):
            await self._send({"type": "http.response.start", "status": 200, "headers": [*EVENT_HEADERS, *extra]})
        self._put, self._end = getattr(server, "write_piece", _no), getattr(server, "end_pieces", _no)

    def put(self, chunk: bytes) -> bool:
        """Write events that are framed already, at once; False where they have to wait: then :meth:`write` them."""
        if self._written % FAIR == FAIR - 1 or not self.open or not self._put(chunk):
            return False
        self._written += 1
        return True

    def event(self, message: bytes, id: str | None = None) -> Awaitable[None]:
        """Send one message."""
        return self.write(encode_event(message, id=id))

    async def write(self, chunk: bytes) -> None:
        """Send events or comments that are framed already."""
        if self.open and not self.put(chunk):
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._written += 1
            if self._written % FAIR == 0:
                await asyncio.sleep(0)

    async def end(self, last: bytes = b"") -> None:
        """End the response, after ``last`` (framed already); may be called twice."""
        if self.open and not self.ended:
            self.ended = True
            if not last or not self._end(last):
                await self._send({"type": "http.response.body", "body": last})
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


def _no(_: object) -> bool:
    """What a server doesn't offer can't be done."""
    return False


class Guard:
    """Watches the line of one long response: has the caller gone, is the line silent?

    A server that tells when a client has gone is asked to; else a task, born late, waits for it to be told.
    """

    __slots__ = ("_gone", "_receive", "_seconds", "_silent", "_task", "_timer", "_told")

    def __init__(
        self,
        receive: Receive,
        seconds: float,
        gone: Callable[[], None],
        silent: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """``gone`` is called once when the client has left, ``silent`` every ``seconds`` until then."""
        self._receive = receive
        self._seconds = seconds
        self._gone = gone
        self._silent = silent
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._told = False

    def arm(self, delay: float) -> None:
        """Begin to watch after ``delay`` seconds."""
        self._timer = asyncio.get_running_loop().call_later(delay, self.watch)

    def watch(self) -> None:
        """Begin to watch now."""
        loop, server = asyncio.get_running_loop(), getattr(self._receive, "__self__", None)
        tell = getattr(server, "tell_gone", None)
        if tell is None:
            self._task = loop.create_task(self._watch())
        elif tell(self._gone):
            self._told = True
            self._timer = loop.call_later(self._seconds, self._ring)
        else:
            self._gone()

    def disarm(self) -> None:
        """Watch no more; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._told:
            self._told = False
            self._receive.__self__.tell_gone(None)  # type: ignore[attr-defined]

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done():  # else the last sign of life is still on its way
            self._task = loop.create_task(self._silent())
        self._timer = loop.call_later(self._seconds, self._ring)

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

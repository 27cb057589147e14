"""What is known of an event stream that may break off, and how the rest of it is had (SHL-31, SHL-35).

What must never stand here: what an event says, when a stream is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from mcpkit.client.background import log
from mcpkit.client.errors import ConnectionLost, HttpRefused, ProtocolViolation, Timeout, Unreachable
from mcpkit.client.http import HttpAnswer
from mcpkit.client.limits import Patience
from mcpkit.client.transports.events import EventStream

Get: TypeAlias = Callable[[str | None], Awaitable[HttpAnswer]]
"""Asks for the stream after the event with this id, or for the standing stream where None."""

_BREATH: Final = 0.1
"""Seconds that lie at least between two attempts which brought nothing, whatever the server asks for."""


class Trail:
    """The way back into a stream: the last event's id, the wait that the server wants, how often it failed."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.failures = 0
        """Attempts in a row that found no stream."""
        self.fruitless = 0
        """Streams in a row that brought no event."""
        self.last_id: str | None = None
        self.retry: float | None = None

    def note(self, stream: EventStream) -> None:
        """A stream is over; take over what it remembers."""
        self.fruitless = 0 if stream.fruitful else self.fruitless + 1
        self.last_id = stream.last_event_id or self.last_id
        self.retry = self.retry if stream.retry_seconds is None else stream.retry_seconds

    @property
    def worn_out(self) -> bool:
        """It has failed often enough."""
        return self.failures >= self._patience.bounds.attempts

    def pause(self) -> float:
        """Seconds until the next attempt: what the server asked for, more where attempts keep failing."""
        backoff = self._patience.pauses.before(max(self.failures, self.fruitless) - 1)
        if self.retry is None or self.failures:
            return max(backoff, self.retry or 0.0)
        return max(self.retry, _BREATH if self.fruitless > 1 else 0.0)

    async def reopen(self, get: Get) -> HttpAnswer:
        """The rest of the stream, after the pause.

        Raises: ConnectionLost when it can't be had.
        """
        while not self.worn_out:
            await asyncio.sleep(self.pause())
            try:
                answer = await get(self.last_id)
            except (Unreachable, ConnectionLost, Timeout) as error:
                log.debug("the stream could not be reopened: %s", error)
                self.failures += 1
                continue
            self.failures = 0
            return await _rest(answer)
        raise ConnectionLost(f"the stream broke and could not be reopened in {self.failures} attempts")


async def _rest(answer: HttpAnswer) -> HttpAnswer:
    try:
        return await as_stream(answer)
    except HttpRefused as error:  # the request may have been served: its answer is what is lost
        raise ConnectionLost(f"the stream broke and the server does not resume it (HTTP {error.status})") from error


async def as_stream(answer: HttpAnswer) -> HttpAnswer:
    """The answer, if it is an event stream.

    Raises: HttpRefused, ProtocolViolation.
    """
    kind = content_type(answer)
    if answer.status == 200 and kind == "text/event-stream":
        return answer
    await answer.close()
    if answer.status != 200:
        raise HttpRefused(answer.status, f"the server opened no event stream (HTTP {answer.status})")
    raise ProtocolViolation(f"the server answered {kind or 'nothing'} where MCP has an event stream")


def content_type(answer: HttpAnswer) -> str:
    """The media type, without parameters, in lower case."""
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()

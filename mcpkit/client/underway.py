"""A call that waits for its answer, and its deadline, which signs of life move.

What must never stand here: sending, which signs there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcpkit.client.notices import Delivery, ProgressHandler, progress_of
from mcpkit.client.transports.transport import Call
from mcpkit.jsonrpc.messages import JsonObject


@dataclass(slots=True)
class Manner:
    """How one request is to be made."""

    silence: float | None = 60.0
    """Seconds without a sign of life after which it is given up."""
    whole: float | None = 600.0
    """Seconds after which it is given up whatever happens."""
    progress: ProgressHandler | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    """Sending it twice does no harm."""
    sent: Callable[[Call], None] | None = None
    """Is shown the call before it goes out: subscriptions are told apart by its id."""

    def until(self, now: float, started: float) -> float | None:
        """The moment at which a call that began then, and showed life now, is given up."""
        if self.silence is None:
            return None if self.whole is None else started + self.whole
        return now + self.silence if self.whole is None else min(now + self.silence, started + self.whole)


class Underway:
    """One call; each sign of life gives it new time, within the whole."""

    __slots__ = ("_deadline", "_last", "_manner", "_started")

    def __init__(self, manner: Manner, deadline: asyncio.Timeout, started: float) -> None:
        self._manner = manner
        self._deadline = deadline
        self._started = started
        self._last: float | None = None

    def reported(self, params: JsonObject, delivery: Delivery) -> None:
        """The server reports progress; a report that does not go forward is no sign of life (PROG-02)."""
        progress = progress_of(params)
        if progress is None or (self._last is not None and progress.progress <= self._last):
            return
        self._last = progress.progress
        if self.alive() and self._manner.progress is not None:
            delivery.put(self._manner.progress, progress)

    def alive(self) -> bool:
        """It has shown life now; False when its time is over."""
        if self._deadline.expired():
            return False
        self._deadline.reschedule(self._manner.until(asyncio.get_running_loop().time(), self._started))
        return True

    def suspend(self) -> None:
        """The server waits for us, so its silence means nothing; the whole still holds."""
        if not self._deadline.expired():
            self._deadline.reschedule(None if self._manner.whole is None else self._started + self._manner.whole)

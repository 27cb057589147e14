"""The calls of one pipe that take their time: in flight, as many as may be at once, or waiting for their turn.

What must never stand here: messages, how a call is served.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from mcpkit.limits import BoundReached, Shares
from mcpkit.transports.eager import Starter, Work
from mcpkit.transports.pipe_call import LISTEN, Call

LATER: Final = "send it again when some have been answered"
MAX_WAITING: Final = 10_000
"""Calls that may wait for one in flight to end: a whole file of them may be piped in."""


class InFlight:
    """Starts calls. One that never waits is over when :meth:`launch` returns, and was never here."""

    def __init__(
        self, serve: Callable[[Call], Work], most: int, ended: Callable[[], None], waiting_bytes: Shares
    ) -> None:
        """At most ``most`` calls run at once; ``ended`` is called after each that took its time.

        ``waiting_bytes`` bounds what all that wait their turn take in memory.
        """
        self._serve = serve
        self._waiting_bytes = waiting_bytes
        self._most = most
        self._told = ended
        self._starter = Starter(asyncio.get_running_loop())
        self._tasks: dict[asyncio.Task[None], Call] = {}
        self._waiting: deque[tuple[Call, int]] = deque()

    @property
    def empty(self) -> bool:
        """Nothing runs, nothing waits."""
        return not self._tasks and not self._waiting

    def launch(self, call: Call, take: Callable[[], int]) -> None:
        """Serve it now; or, where too many are in flight, as soon as one of them ends.

        ``take`` counts the bytes that it takes while it waits, and tells how many; it may raise BoundReached.
        """
        if len(self._tasks) < self._most or self._busy() < self._most:
            self.start(call, self._serve(call))
        elif len(self._waiting) < MAX_WAITING:
            try:
                self._waiting.append((call, take()))
            except BoundReached as reached:
                call.refuse(str(reached))
        else:
            call.refuse(f"There may be {MAX_WAITING} requests that wait on this pipe; {LATER}")

    def start(self, call: Call, work: Work) -> None:
        """Serve it now, by ``work``."""
        task = self._starter.start(work)
        if task is not None:
            call.task = task
            self._tasks[task] = call
            task.add_done_callback(self._ended)

    def cancel(self, method: str | None = None) -> None:
        """Cancel the calls of that method; all of them without one."""
        for call in tuple(self._tasks.values()):
            if method is None or call.exchange.method == method:
                call.cancel(None)

    def give_up(self) -> None:
        """Stop everything, and tell whoever waits for an answer that none will come."""
        waiting = [call for call, _ in self._waiting]
        self._forget_waiting()
        for call in (*self._tasks.values(), *waiting):
            call.give_up()

    def close(self) -> None:
        """Cancel everything; what waits is never served."""
        self._forget_waiting()
        self._starter.close()
        self.cancel()

    async def gone(self, seconds: float) -> None:
        """Wait, at most that long, for what was cancelled to clean up."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=seconds)

    def _forget_waiting(self) -> None:
        self._waiting_bytes.give("", sum(weight for _, weight in self._waiting))
        self._waiting.clear()

    def _busy(self) -> int:
        return sum(call.exchange.method != LISTEN for call in self._tasks.values())

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        while self._waiting and self._busy() < self._most:
            call, weight = self._waiting.popleft()
            self._waiting_bytes.give("", weight)
            if not call.cancelled:
                self.start(call, self._serve(call))
        self._told()

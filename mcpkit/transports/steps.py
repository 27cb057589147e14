"""Taking the first step of an awaitable by hand, to know whether it waits at all.

Timers, watchers and tasks cost more than the plain calls that never need them: so they are made only once
something has really suspended. What must never stand here: HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Resumed(Generic[T]):
    """The rest of an awaitable whose first step was taken: awaits ``waited``, which that step yielded, and goes on."""

    __slots__ = ("_steps", "_waited")

    def __init__(self, steps: Generator[Any, Any, T], waited: Any) -> None:
        self._steps = steps
        self._waited = waited

    def __await__(self) -> Generator[Any, Any, T]:
        steps, waited = self._steps, self._waited
        try:
            while True:
                try:
                    yield waited
                except BaseException as error:  # noqa: BLE001, RUF100 - whatever comes is for the awaitable
                    waited = steps.throw(error)
                else:  # event loops send nothing, and so does this: from here on no frame of ours is in between
                    return (yield from steps)
        except StopIteration as done:
            result: T = done.value
            return result


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Await ``work``, at most that long; a timer is made only if it suspends.

    Raises: TimeoutError.
    """
    steps = work.__await__()
    try:
        waited = next(steps)
    except StopIteration as done:
        result: T = done.value
        return result
    async with asyncio.timeout(seconds):
        return await Resumed(steps, waited)


async def forgiven(task: asyncio.Task[Any]) -> None:
    """Let the current task, which was cancelled for the sake of work that is over, go on as if it had not been."""
    with suppress(asyncio.CancelledError):  # work that never waited again has not met it yet
        await asyncio.sleep(0)
    while task.cancelling():
        task.uncancel()


class Turns:
    """Work that never overlaps: whoever begins ends before the next begins. A lock is made only if it suspends."""

    __slots__ = ("_inside", "_lock")

    def __init__(self) -> None:
        self._inside = 0
        self._lock: asyncio.Lock | None = None

    @property
    def free(self) -> bool:
        """Nobody is at work."""
        return not self._inside

    def take(self, work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
        """Begin ``work`` now if nobody is at work. What remains of it is to be awaited at once; None: it is done."""
        if self._inside:
            return self._alone(work, work)
        steps = work.__await__()
        self._inside += 1
        try:
            waited = next(steps)
        except StopIteration:
            return None
        finally:
            self._inside -= 1
        return self._alone(work, Resumed(steps, waited))

    async def _alone(self, work: Coroutine[Any, Any, None], rest: Awaitable[None]) -> None:
        self._inside += 1
        try:
            if self._lock is None:
                self._lock = asyncio.Lock()
            async with self._lock:
                await rest
        finally:
            self._inside -= 1
            work.close()  # it may never have begun

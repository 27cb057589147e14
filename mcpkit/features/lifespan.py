"""One lifespan around everyone who serves at the same time: entered with the first, left after the last.

It lives in a task of its own, so that whoever comes and goes may do so from any task (a lifespan may hold cancel
scopes, which belong to the task that entered them). What must never stand here: what a server does in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from mcpkit.aio import as_exception, is_requested


class SharedLifespan:
    """``async with shared.entered():`` by as many as like; ``make`` gives the context manager around all of them."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._make = make
        self._current: _Stay | None = None

    @property
    def on(self) -> bool:
        """Whether somebody is within."""
        return self._current is not None and self._current.users > 0 and not self._current.loop.is_closed()

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Within, the lifespan is on. In a second event loop it is that of the first, and ends when the first wants.

        Raises: what entering the lifespan raises, to everyone who waits for it; what leaving it raises, to the last.
        """
        loop = asyncio.get_running_loop()
        stay = self._current
        if stay is not None and stay.loop.is_closed():  # it was cut off there; whoever was in it is gone
            stay = None
        if stay is not None and stay.users and stay.loop is not loop:
            yield
            return
        if stay is None or not stay.users or stay.loop is not loop:
            stay = self._current = _Stay(self._make, loop, before=stay)
        stay.users += 1
        try:
            await asyncio.shield(stay.ready)
            yield
        finally:
            stay.users -= 1
            if not stay.users:
                await stay.end()


class _Stay:
    """One time of being on."""

    def __init__(
        self,
        make: Callable[[], AbstractAsyncContextManager[None]],
        loop: asyncio.AbstractEventLoop,
        before: _Stay | None,
    ) -> None:
        self.users = 0
        self.loop = loop
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ready.add_done_callback(_heard)
        self._over = asyncio.Event()
        self._before = before.task if before is not None and before.loop is loop else None
        self.task: asyncio.Task[None] = loop.create_task(self._last(make), name="mcpkit: lifespan")

    async def end(self) -> None:
        """Nobody needs it any more: leave it, or give entering it up."""
        self._over.set()
        if not self.ready.done():
            self.task.cancel()
            await asyncio.wait({self.task})
        elif not self.ready.cancelled() and self.ready.exception() is None:
            await self.task

    async def _last(self, make: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        if self._before is not None:
            await asyncio.wait({self._before})
            self._before = None
        try:
            async with make():
                self.ready.set_result(None)
                await self._over.wait()
        except BaseException as error:
            if self.ready.done():
                raise
            if is_requested(error):
                self.ready.cancel()
                raise
            own = isinstance(error, asyncio.CancelledError | StopIteration)  # which no future can hold
            self.ready.set_exception(as_exception(error) if own else error)


def _heard(ready: asyncio.Future[None]) -> None:
    """A start that failed when nobody waited for it any more is no news."""
    if not ready.cancelled():
        ready.exception()

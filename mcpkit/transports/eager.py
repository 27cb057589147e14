"""Starting coroutines at once: the first step is taken now, and only what suspends gets a task.

Whatever it asks for during that first step (``asyncio.timeout``, a TaskGroup, a context variable) belongs to the very
task that later goes on with it. What must never stand here: what is being run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Generator
from contextvars import Context, copy_context
from types import coroutine
from typing import Any, TypeAlias

from mcpkit.transports.steps import Resumed

Work: TypeAlias = Coroutine[Any, Any, None]

if sys.version_info >= (3, 12):

    class Starter:
        """Starts coroutines from callbacks of one event loop (never from inside a task); they must not raise."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop

        def start(self, work: Work) -> asyncio.Task[None] | None:
            """Run ``work`` up to its first wait; the task that goes on with it, or None when it is done."""
            task = asyncio.Task(work, loop=self._loop, eager_start=True)
            return None if task.done() else task

        def close(self) -> None:
            """Nothing is kept."""

else:
    _enter_task, _leave_task = asyncio.tasks._enter_task, asyncio.tasks._leave_task
    _OVER: Any = object()

    class _StandBy:
        """A task that waits for the rest of one coroutine and then goes on with it."""

        __slots__ = ("_called", "_rest", "context", "task")

        def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
            self.context = context
            self._called = loop.create_future()
            self._rest: Resumed[None] | None = None
            work = self._work()
            work.send(None)  # into the try block: a task that is cancelled before it has begun never would
            self.task: asyncio.Task[None] = loop.create_task(work, context=context)

        def go_on(self, rest: Resumed[None] | None) -> None:
            """Go on with ``rest``, or end."""
            self._rest = rest
            if not self._called.done():
                self._called.set_result(None)

        async def _work(self) -> None:
            try:
                await _pause()
                await self._called
            except asyncio.CancelledError:
                self.task.uncancel()
                self.task.cancel()  # again, now from inside: so it takes effect at the next wait, which is the rest's
            if self._rest is not None:
                await self._rest

    @coroutine
    def _pause() -> Generator[None]:
        yield

    class Starter:
        """Starts coroutines from callbacks of one event loop (never from inside a task); they must not raise.

        One task stands by. It is the current task of each first step, and goes on with the one that suspends; then
        another takes its place. asyncio learned to do this itself in Python 3.12.
        """

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self._context = copy_context()
            self._spare: _StandBy | None = None

        def start(self, work: Work) -> asyncio.Task[None] | None:
            """Run ``work`` up to its first wait; the task that goes on with it, or None when it is done."""
            stand_by = self._spare or _StandBy(self._loop, self._context.copy())
            self._spare = None
            steps = work.__await__()
            _enter_task(self._loop, stand_by.task)
            try:
                waited = stand_by.context.run(next, steps, _OVER)  # an exception at the end would cost more
            finally:
                _leave_task(self._loop, stand_by.task)
            if waited is not _OVER:
                stand_by.go_on(Resumed(steps, waited))
                return stand_by.task
            # A context variable that was set, or a cancel, must not reach the next one's first step.
            if stand_by.context == self._context and not stand_by.task.cancelling():
                self._spare = stand_by
            else:
                stand_by.go_on(None)
            return None

        def close(self) -> None:
            """Let the task that stands by end."""
            if self._spare is not None:
                self._spare.go_on(None)
                self._spare = None

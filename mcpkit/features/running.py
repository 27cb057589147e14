"""Running code with limits: a deadline that costs nothing until something waits, threads for what blocks.

What must never stand here: what is run, or for whom.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, Generic, TypeAlias, TypeVar

from mcpkit.jsonrpc.errors import McpKitError

T = TypeVar("T")
Outcome: TypeAlias = tuple[Any, BaseException | None]
"""A value, or what was raised instead of one."""

THREADS: Final = 32
"""Blocking functions that run at once in one process; the next ones wait, and their deadline runs."""


class DeadlineExpired(McpKitError):
    """The work took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"timed out after {seconds:g} s")
        self.seconds = seconds


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` for at most ``seconds`` (0: for ever).

    It is driven one step first: work that never waits never meets a timer. On expiry the work is cancelled; a
    cancellation that comes from outside goes through untouched.

    Raises: DeadlineExpired, whatever ``work`` raises, and RuntimeError where it calls ``sys.exit()``.
    """
    try:
        waits_for = work.send(None)
        if not seconds:
            return await _Begun(work, waits_for)
        return await _until(seconds, _Begun(work, waits_for))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
    except SystemExit as end:
        raise RuntimeError("the function called sys.exit()") from end


async def _until(seconds: float, work: Awaitable[T]) -> T:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise DeadlineExpired(seconds) from None
        raise


@dataclass(slots=True)
class _Begun(Generic[T]):
    """A coroutine that has been driven to its first wait already."""

    work: Coroutine[Any, Any, T]
    waits_for: Any

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            while True:
                try:
                    yield self.waits_for
                except GeneratorExit:
                    self.work.close()
                    raise
                except BaseException as error:
                    self.waits_for = self.work.throw(error)
                else:
                    self.waits_for = self.work.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # as above


@dataclass(slots=True)
class _Job:
    call: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]

    def run(self) -> None:
        if self.future.cancelled():  # given up while it waited for a thread
            return
        outcome: Outcome
        try:
            outcome = self.call(), None
        except BaseException as error:
            outcome = None, _carried(error)
        with suppress(RuntimeError):  # the loop is gone, and with it whoever asked
            self.loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: Outcome) -> None:
        if self.future.done():
            return
        value, error = outcome
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)


def _carried(error: BaseException) -> BaseException:
    """What a future can carry to the caller without ending more than the call."""
    if isinstance(error, StopIteration | SystemExit | KeyboardInterrupt | GeneratorExit | asyncio.CancelledError):
        wrapped = RuntimeError(f"the function ended by {type(error).__name__}")
        wrapped.__cause__ = error
        return wrapped
    return error


@dataclass(slots=True)
class Workers:
    """Threads for blocking functions: started when needed, bounded, and never in the way of the process's end.

    A function that hangs keeps its thread; its caller is told at the deadline.
    """

    limit: int = THREADS
    _jobs: SimpleQueue[_Job] = field(default_factory=SimpleQueue)
    _lock: Lock = field(default_factory=Lock)
    _started: int = 0
    _busy: int = 0
    """Jobs that wait or run."""

    async def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` in a thread, in the caller's context variables. Cancelling leaves the thread to its end."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        self._jobs.put(_Job(lambda: context.run(call), loop, future))
        with self._lock:
            self._busy += 1
            if self._busy > self._started < self.limit:
                self._started += 1
                Thread(target=self._serve, name=f"mcpkit-{self._started}", daemon=True).start()
        return await future

    def _serve(self) -> None:
        while True:
            self._jobs.get().run()
            with self._lock:
                self._busy -= 1


WORKERS: Final = Workers()
"""The threads of this process."""

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
MOST_THREADS: Final = 256
"""Threads in all, with those that hang."""
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
    runs: bool = False
    """A thread works on it now."""
    given_up: bool = False
    """Its caller waits no longer, but its thread is still at it."""

    def run(self) -> Outcome:
        if self.future.cancelled():  # given up while it waited for a thread
            return None, None
        try:
            return self.call(), None
        except BaseException as error:
            return None, _carried(error)

    def tell(self, outcome: Outcome) -> None:
        """From the thread: let the caller know."""
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

    A function that hangs keeps its thread; its caller is told at the deadline, and another thread takes its place, so
    that it harms nobody else: up to ``most`` threads in all.
    """

    limit: int = THREADS
    most: int = MOST_THREADS
    _jobs: SimpleQueue[_Job] = field(default_factory=SimpleQueue)
    _lock: Lock = field(default_factory=Lock)
    _started: int = 0
    _busy: int = 0
    """Jobs that wait or run, and whose callers wait for them."""
    _hung: int = 0
    """Threads whose work nobody waits for any more."""

    async def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` in a thread, in the caller's context variables. Cancelling leaves the thread to its end."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        job = _Job(lambda: context.run(call), loop, future)
        self._jobs.put(job)
        with self._lock:
            self._busy += 1
            self._start_another()
        try:
            return await future
        except asyncio.CancelledError:
            self._give_up(job)
            raise

    def _start_another(self) -> None:
        """Under the lock: a thread more, if there is work for it."""
        if self._busy > self._started - self._hung < self.limit and self._started < self.most:
            self._started += 1
            Thread(target=self._serve, name=f"mcpkit-{self._started}", daemon=True).start()

    def _give_up(self, job: _Job) -> None:
        with self._lock:
            if job.runs:
                job.given_up = True
                self._hung += 1
                self._busy -= 1
                self._start_another()

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            with self._lock:
                job.runs = True
            outcome = job.run()
            goes_on = self._goes_on(job)  # counted before it is told: whoever knows of the end finds a free place
            job.tell(outcome)
            del job, outcome  # a thread at rest keeps nothing alive
            if not goes_on:
                return

    def _goes_on(self, job: _Job) -> bool:
        """The job is done; whether its thread is still needed."""
        with self._lock:
            job.runs = False
            if job.given_up:
                self._hung -= 1
            else:
                self._busy -= 1
            surplus = self._started - self._hung > self.limit
            self._started -= surplus
            return not surplus


WORKERS: Final = Workers()
"""The threads of this process."""

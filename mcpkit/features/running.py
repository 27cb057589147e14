"""Running code with limits: a deadline that costs nothing until something waits, threads for what blocks.

What must never stand here: what is run, or for whom.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter
from typing import Any, Final, TypeAlias, TypeVar

from mcpkit.aio import HandlerSteps, as_exception, cancel_requests, take_back
from mcpkit.jsonrpc.errors import McpKitError

logger = logging.getLogger("mcpkit.running")

T = TypeVar("T")
BLOCKED_SECONDS: Final = 1.0
"""A function that keeps the event loop longer than this in one go is named in the log."""
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


async def within(seconds: float, work: Coroutine[Any, Any, T], name: str = "") -> T:
    """Await a function of an author's for at most ``seconds`` (0: for ever); ``name`` is what messages call it.

    It is driven one step first: work that never waits never meets a timer. On expiry the work is cancelled. A
    cancellation that comes from outside goes through untouched; one of the function's own ends nothing but its call.

    Raises: DeadlineExpired, whatever Exception ``work`` raises, and HandlerExit where it ends by anything else.
    """
    began = perf_counter()
    try:
        waited = work.send(None)
    except StopIteration as stop:
        if perf_counter() - began > BLOCKED_SECONDS:
            _tell_blocked(name, perf_counter() - began)
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
    except BaseException as error:
        raise as_exception(error)  # noqa: B904 - it knows its cause
    steps = HandlerSteps(work, waited, cancel_requests(), perf_counter() - began)
    try:
        return await (_until(seconds, steps) if seconds else steps)
    except BaseException as error:
        raise steps.ended(error)  # noqa: B904 - as above
    finally:
        if steps.longest > BLOCKED_SECONDS:
            _tell_blocked(name, steps.longest)
        if not steps.closed:
            await take_back(steps.own)


def _tell_blocked(name: str, seconds: float) -> None:
    logger.warning(
        "%s blocked the event loop for %.1f s, and every other call with it; "
        "write it with def, then it runs in a thread, or await asyncio.to_thread(...) for what blocks",
        name or "a function",
        seconds,
    )


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
            return None, as_exception(error)

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

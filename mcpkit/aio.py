"""Awaiting code that others wrote: each of its steps is seen, and whatever it ends by is an answer to somebody.

What must never stand here: what is run, or for whom; JSON-RPC.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from time import perf_counter
from typing import Any, Generic, TypeVar

T = TypeVar("T")
logger = logging.getLogger("mcpkit.running")


class HandlerExit(RuntimeError):
    """A handler ended by something that would end more than its call; ``__cause__`` is what it raised."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"the function ended by {type(cause).__name__}")
        self.__cause__ = cause


def as_exception(error: BaseException) -> BaseException:
    """What a handler raised, as an Exception: a call of its own accord ends nothing but itself.

    What has a true ``control_flow`` passes through handlers: it stays what it is, and where a TaskGroup has put it into
    a group with nothing else it is taken out.
    """
    if isinstance(error, BaseExceptionGroup) and error.split(_is_control_flow)[1] is None:
        return _first(error)
    if _is_control_flow(error) or (isinstance(error, Exception) and not isinstance(error, StopIteration)):
        return error
    return HandlerExit(error)


def is_requested(error: BaseException) -> bool:
    """Whether ``error`` is the current task's cancellation, not that of another task which it awaited."""
    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def cancel_requests() -> int:
    """How often the current task was asked to stop, and has not taken it back."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class HandlerSteps(Generic[T]):
    """The rest of a handler whose first step was taken: awaits ``waited``, which that step yielded, and goes on.

    It counts the cancellations of the current task that the handler itself asks for: they stand between its steps'
    beginnings and ends, while everybody else's come when it waits.
    """

    __slots__ = ("_before", "_waited", "_work", "closed", "longest", "own")

    def __init__(self, work: Coroutine[Any, Any, T], waited: Any, before: int, took: float = 0.0) -> None:
        """``before`` of the task's cancellations are no concern of the handler's; its first step took ``took`` seconds.

        A cancellation that was asked for before the first wait is the handler's own: nobody else has had a turn.
        """
        self._work = work
        self._waited = waited
        self._before = before
        self.own = cancel_requests() - before
        """How many cancellations the handler asked for itself, less those that it took back."""
        self.closed = False
        """Whether the one who awaits has been closed: nobody is there to be told how the handler ended."""
        self.longest = took
        """Seconds that the longest step took so far; meanwhile nothing else ran in the event loop."""

    def __await__(self) -> Generator[Any, Any, T]:
        work, waited = self._work, self._waited
        try:
            while True:
                try:
                    yield waited
                except GeneratorExit:
                    self.closed = True
                    work.close()
                    raise
                except BaseException as error:  # noqa: BLE001, RUF100 - whatever comes is for the handler
                    waited = self._step(work.throw, error)
                else:
                    waited = self._step(work.send, None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic

    def _step(self, step: Callable[[Any], Any], value: Any) -> Any:
        count, began = cancel_requests(), perf_counter()
        try:
            return step(value)
        finally:
            self.own += cancel_requests() - count
            self.longest = max(self.longest, perf_counter() - began)

    def ended(self, error: BaseException) -> BaseException:
        """What to raise where the handler ended by ``error``: the very same where it did as it was asked to."""
        asked = cancel_requests() - self._before if not self.closed else 0
        if self.closed or (isinstance(error, asyncio.CancelledError) and asked > max(self.own, 0)):
            return error
        return as_exception(error)


async def contain(work: Coroutine[Any, Any, T]) -> T:
    """Await a handler in a task that is its own, so that it ends nothing but itself.

    Raises: whatever Exception ``work`` raises, HandlerExit where it ends by anything else, and CancelledError where
    somebody else has cancelled the task.
    """
    try:
        waited = work.send(None)
    except StopIteration as stop:
        await take_back(cancel_requests())
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
    except BaseException as error:
        await take_back(cancel_requests())
        raise as_exception(error)  # noqa: B904 - it knows its cause
    steps = HandlerSteps(work, waited, 0)
    try:
        return await steps
    except BaseException as error:
        raise steps.ended(error)  # noqa: B904 - as above
    finally:
        if not steps.closed:
            await take_back(steps.own)


async def take_back(count: int) -> None:
    """Take back that many cancellations of the current task, the one that is under way included."""
    task = asyncio.current_task()
    if task is None or count < 1:
        return
    with suppress(asyncio.CancelledError):  # it may not have been met yet
        await asyncio.sleep(0)
    for _ in range(count):
        task.uncancel()


def run_to_end(work: Coroutine[Any, Any, T], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Run a program's main coroutine in an event loop of its own, to its end.

    asyncio lets a KeyboardInterrupt or SystemExit of any task out of the loop. Where the program takes SIGINT itself,
    the one that comes out is a handler's, from a task that it made: it is logged, and the loop goes on.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        while True:
            try:
                return loop.run_until_complete(task)
            except (KeyboardInterrupt, SystemExit) as error:
                if task.done() or signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                    raise
                logger.error("a task that a handler made ended by %s", type(error).__name__, exc_info=error)


def _is_control_flow(error: BaseException) -> bool:
    return getattr(error, "control_flow", False) is True


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

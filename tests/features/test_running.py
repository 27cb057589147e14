"""Deadlines and threads."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from mcpkit import aio
from mcpkit.features import running
from mcpkit.features.running import DeadlineExpired, Workers, within

SOON = 0.01
LATE = 5.0


async def answered(value: int = 1) -> int:
    return value


async def test_work_that_never_waits_meets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def armed(*_: Any) -> None:
        pytest.fail("a timer was armed")

    monkeypatch.setattr(asyncio, "timeout", armed)
    assert await within(LATE, answered(3)) == 3


async def test_work_that_waits_goes_on_in_the_same_task_with_its_values() -> None:
    seen = contextvars.ContextVar("seen", default=0)

    async def work() -> tuple[int, Any]:
        seen.set(1)
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.sleep(0), LATE)
        return seen.get(), asyncio.current_task()

    assert await within(LATE, work()) == (1, asyncio.current_task())
    assert await within(0, work()) == (1, asyncio.current_task())


async def test_an_error_comes_through_before_and_after_the_first_wait() -> None:
    async def at_once() -> None:
        raise KeyError("a")

    async def later() -> None:
        await asyncio.sleep(0)
        raise KeyError("b")

    for work in (at_once, later):
        with pytest.raises(KeyError):
            await within(LATE, work())


async def test_the_deadline_cancels_the_work_and_only_the_work() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(DeadlineExpired, match=r"timed out after 0\.01 s"):
        await within(SOON, work())
    assert ended.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # the task goes on unhurt


async def test_a_timeout_of_the_works_own_is_not_the_deadline() -> None:
    async def work() -> None:
        await asyncio.wait_for(asyncio.Event().wait(), SOON)

    with pytest.raises(TimeoutError) as caught:
        await within(LATE, work())
    assert not isinstance(caught.value, DeadlineExpired)


async def test_a_cancellation_from_outside_goes_through() -> None:
    """The caller is gone: that is no timeout, and must not be swallowed."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(within(LATE, work()))
    await asyncio.wait_for(begun.wait(), LATE)
    task.cancel("gone")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, LATE)
    assert task.cancelled()
    assert ended.is_set()


async def test_work_may_survive_a_cancellation_it_handles() -> None:
    begun = asyncio.Event()

    async def work() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "saved"

    task = asyncio.create_task(within(LATE, work()))
    await asyncio.wait_for(begun.wait(), LATE)
    task.cancel()
    assert await asyncio.wait_for(task, LATE) == "saved"


async def test_deadlines_nest() -> None:
    async def inner() -> None:
        await within(LATE, asyncio.Event().wait())

    with pytest.raises(DeadlineExpired) as caught:
        await within(SOON, inner())
    assert caught.value.seconds == SOON


async def test_closed_work_is_closed_inside() -> None:
    closed = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except GeneratorExit:
            closed.set()
            raise

    outer = within(LATE, work())
    outer.send(None)
    outer.close()
    assert closed.is_set()


# ── threads ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def released() -> AsyncIterator[threading.Event]:
    """Lets every blocked function go when the test ends."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_function_runs_in_another_thread_with_the_callers_variables() -> None:
    name = contextvars.ContextVar("name", default="")
    name.set("caller")
    ran = await Workers().run(lambda: (threading.current_thread(), name.get()))
    assert ran[0] is not threading.current_thread()
    assert ran[0].daemon, "a hanging function must not keep the process alive"
    assert ran[1] == "caller"


async def test_what_a_function_raises_comes_back() -> None:
    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Workers().run(broken)


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, StopIteration, asyncio.CancelledError])
async def test_no_function_ends_more_than_its_call(end: type[BaseException]) -> None:
    def leaving() -> None:
        raise end

    with pytest.raises(RuntimeError, match=end.__name__):
        await Workers().run(leaving)


async def test_threads_are_bounded_and_the_next_one_waits(released: threading.Event) -> None:
    workers = Workers(limit=2)
    running = threading.Semaphore(0)

    def block() -> bool:
        running.release()
        return released.wait(LATE)

    blocked = [asyncio.create_task(workers.run(block)) for _ in range(2)]
    for _ in blocked:
        assert await asyncio.to_thread(running.acquire, timeout=LATE)
    waiting = asyncio.create_task(workers.run(lambda: "late"))
    with pytest.raises(DeadlineExpired):
        await within(SOON, workers.run(lambda: "never"))
    assert not waiting.done()
    released.set()
    assert await asyncio.wait_for(waiting, LATE) == "late"
    assert await asyncio.wait_for(asyncio.gather(*blocked), LATE) == [True, True]


async def test_a_call_given_up_while_it_waited_is_never_made(released: threading.Event) -> None:
    workers, made = Workers(limit=1), threading.Event()
    busy = asyncio.create_task(workers.run(lambda: released.wait(LATE)))
    await asyncio.sleep(0)
    given_up = asyncio.create_task(workers.run(made.set))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    released.set()
    await asyncio.wait_for(busy, LATE)
    assert await asyncio.wait_for(workers.run(lambda: "next"), LATE) == "next"
    assert not made.is_set()


async def test_a_function_that_hangs_is_left_behind_at_the_deadline(released: threading.Event) -> None:
    workers = Workers(limit=2)
    with pytest.raises(DeadlineExpired):
        await within(SOON, workers.run(lambda: released.wait(LATE)))
    assert await asyncio.wait_for(workers.run(lambda: "free"), LATE) == "free"


async def test_a_thread_is_used_again() -> None:
    workers = Workers()
    threads = [await workers.run(threading.current_thread) for _ in range(5)]
    assert len(set(threads)) <= 2


async def test_functions_that_hang_harm_only_themselves() -> None:
    """Each place that is lost is filled again; and given back when the function ends after all."""
    workers = Workers(limit=2, most=5)
    release = threading.Event()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await workers.run(release.wait)
    assert await asyncio.wait_for(workers.run(lambda: "done"), 5) == "done"
    release.set()
    async with asyncio.timeout(5):
        while workers._hung or workers._started > 2:
            await workers.run(lambda: None)
    assert workers._busy == 0


async def test_threads_have_an_end() -> None:
    workers = Workers(limit=1, most=2)
    release = threading.Event()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await workers.run(release.wait)
    assert workers._started == 2
    release.set()
    assert await asyncio.wait_for(workers.run(lambda: 1), 5) == 1


class Clock:
    """Says what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in (running, aio):
            monkeypatch.setattr(module, "perf_counter", lambda: self.now)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("waits", "told"), [((7.0,), "7.0"), ((0.0, 0.5, 3.0, 0.0), "3.0"), ((0.9, 0.9), "")])
async def test_who_blocks_the_event_loop_is_named(
    waits: tuple[float, ...],
    told: str,
    fails: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line, for the longest of the steps between two waits."""
    clock = Clock(monkeypatch)

    async def work() -> None:
        for seconds in waits:
            clock.now += seconds
            await asyncio.sleep(0)
        if fails:
            raise ValueError

    with suppress(ValueError):
        await within(0, work(), "slow")
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" s, ")[0] for line in lines] == (
        [f"slow blocked the event loop for {told}"] if told else []
    )

"""Taking the first step by hand changes nothing that an awaitable sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.transports.steps import Resumed, Turns, forgiven, within


async def resumed(work: Any) -> Any:
    steps = work.__await__()
    return await Resumed(steps, next(steps))


async def test_what_never_waits_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", None)

    async def quick() -> int:
        return 7

    assert await within(1, quick()) == 7


async def test_what_waits_in_vain_times_out() -> None:
    with pytest.raises(TimeoutError):
        await within(0.01, asyncio.Event().wait())


async def test_it_goes_on_through_many_waits() -> None:
    async def work() -> int:
        total = 0
        for number in range(5):
            await asyncio.sleep(0)
            total += await asyncio.ensure_future(asyncio.sleep(0, number))
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        return total

    assert await resumed(work()) == 10


async def test_errors_come_out() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await resumed(work())


async def test_a_cancel_reaches_the_work_and_its_cleanup_may_wait() -> None:
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    task = asyncio.ensure_future(resumed(work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


async def test_a_cancel_may_be_survived() -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "alive"

    task = asyncio.ensure_future(resumed(work()))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "alive"


async def test_work_in_turn_that_never_waits_is_done_at_once() -> None:
    turns, done = Turns(), []

    async def work() -> None:
        done.append(turns.free)

    assert turns.take(work()) is None
    assert done == [False]
    assert turns.free


async def test_turns_never_overlap() -> None:
    """Whoever waits in the middle of its work keeps the others waiting, and they come in order."""
    turns, gate, said = Turns(), asyncio.Event(), list[str]()

    async def work(name: str) -> None:
        said.append(f"{name} begins")
        if name == "a":
            await gate.wait()
        said.append(f"{name} ends")

    async def take(name: str) -> None:
        rest = turns.take(work(name))
        if rest is not None:
            await rest

    tasks = [asyncio.create_task(take(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert said == ["a begins"]
    assert not turns.free
    gate.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)
    assert said == ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]
    assert turns.free


async def test_a_turn_that_fails_or_is_cancelled_lets_the_next_begin() -> None:
    turns = Turns()

    async def fail() -> None:
        raise ZeroDivisionError

    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        turns.take(fail())
    rest = turns.take(hang())
    assert rest is not None
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns.free


async def test_a_turn_that_is_cancelled_before_it_comes_never_begins() -> None:
    turns, gate, begun = Turns(), asyncio.Event(), list[str]()

    async def work(name: str) -> None:
        begun.append(name)
        await gate.wait()

    async def take(name: str) -> None:
        rest = turns.take(work(name))
        if rest is not None:
            await rest

    tasks = [asyncio.create_task(take(name)) for name in ("first", "second")]
    await asyncio.sleep(0)
    tasks[1].cancel()
    gate.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == ["first"]
    assert turns.free


@pytest.mark.parametrize("met", [True, False])
async def test_who_was_cancelled_for_the_sake_of_others_goes_on(met: bool) -> None:
    """Whether or not the cancel has been met yet, however often it was said."""
    done = asyncio.Event()

    async def work() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.cancel()
        if met:
            with pytest.raises(asyncio.CancelledError):
                await done.wait()
        await forgiven(task)
        done.set()
        await asyncio.sleep(0)
        return f"{task.cancelling()} left"

    assert await asyncio.create_task(work()) == "0 left"

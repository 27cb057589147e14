"""Taking the first step by hand changes nothing that an awaitable sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.transports.steps import Resumed, within


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

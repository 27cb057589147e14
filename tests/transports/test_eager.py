"""Starting coroutines at once: no task without a wait, and one and the same task before and after the first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from mcpkit.transports.eager import Starter, Work

VAR: ContextVar[str] = ContextVar("VAR", default="unset")


async def from_a_callback(act: Callable[[], Any]) -> Any:
    """What ``act`` returns when the event loop itself calls it."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: done.set_result(act()))
    return await asyncio.wait_for(done, 5)


@pytest.fixture
async def start() -> Any:
    """Starts work as the reading end of a pipe would."""
    starter = Starter(asyncio.get_running_loop())

    async def start(work: Work) -> asyncio.Task[None] | None:
        task: asyncio.Task[None] | None = await from_a_callback(lambda: starter.start(work))
        return task

    yield start
    starter.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


Start = Callable[[Work], Awaitable[asyncio.Task[None] | None]]


async def test_what_never_waits_needs_no_task(start: Start) -> None:
    """It is over when start returns, a hundred times, and nothing is left behind."""
    ran: list[int] = []

    async def work(number: int) -> None:
        ran.append(number)

    before = len(asyncio.all_tasks())
    for number in range(100):
        assert await start(work(number)) is None
    assert ran == list(range(100))
    assert len(asyncio.all_tasks()) <= before + 1


async def test_what_waits_goes_on_in_a_task(start: Start) -> None:
    """Several at once, each by itself, each with its own wait."""
    gates = [asyncio.get_running_loop().create_future() for _ in range(3)]
    ran: list[str] = []

    async def work(number: int) -> None:
        ran.append(f"began {number}")
        await asyncio.sleep(0)
        ran.append(await gates[number])

    tasks = [await start(work(number)) for number in range(3)]
    assert ran[:3] == ["began 0", "began 1", "began 2"]
    for number in (2, 0, 1):
        gates[number].set_result(f"ended {number}")
        task = tasks[number]
        assert task is not None
        await asyncio.wait_for(task, 5)
    assert ran[3:] == ["ended 2", "ended 0", "ended 1"]


async def test_the_first_step_runs_in_the_task_that_goes_on(start: Start) -> None:
    """So a timeout or a task group that is entered before the first wait works after it."""
    seen: list[Any] = []

    async def work() -> None:
        seen.append(asyncio.current_task())
        try:
            async with asyncio.timeout(0.01):
                async with asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(0))
                seen.append(asyncio.current_task())
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            seen.append("timed out")

    task = await start(work())
    assert task is not None
    await asyncio.wait_for(task, 5)
    assert seen == [task, task, "timed out"]


async def test_a_timeout_that_is_over_at_once_still_arrives(start: Start) -> None:
    """It cancels the task before that has taken a single step of its own."""
    heard: list[str] = []

    async def work() -> None:
        try:
            async with asyncio.timeout(0):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            heard.append("timed out")

    for _ in range(3):
        task = await start(work())
        assert task is not None
        await asyncio.wait_for(task, 5)
        assert not task.cancelled()
    assert heard == ["timed out"] * 3


async def test_context_variables_stay_with_their_work(start: Start) -> None:
    """Set before the first wait they hold after it; the next work never sees them."""
    seen: list[str] = []

    async def work(value: str, wait: bool) -> None:
        seen.append(VAR.get())
        token = VAR.set(value)
        if wait:
            await asyncio.sleep(0)
            seen.append(VAR.get())
            VAR.reset(token)

    assert await start(work("a", wait=False)) is None
    task = await start(work("b", wait=True))
    assert task is not None
    await asyncio.wait_for(task, 5)
    assert await start(work("c", wait=False)) is None
    assert seen == ["unset", "unset", "b", "unset"]
    assert VAR.get() == "unset"


@pytest.mark.parametrize("waits", [0, 1, 3])
async def test_a_cancel_reaches_the_wait(start: Start, waits: int) -> None:
    """At once after start, or later: the work hears it where it waits, can clean up, and is over."""
    heard: list[str] = []

    async def work() -> None:
        try:
            await asyncio.create_task(inner())
        except asyncio.CancelledError:
            heard.append("outer")
            await asyncio.sleep(0)
            heard.append("cleaned")
            raise

    async def inner() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            heard.append("inner")
            raise

    task = await start(work())
    assert task is not None
    for _ in range(waits):
        await asyncio.sleep(0)
    assert task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert heard[-2:] == ["outer", "cleaned"]
    assert heard[:1] == (["inner"] if waits else heard[:1])


async def test_work_that_cancels_itself_before_it_waits(start: Start) -> None:
    """It hears it at its next wait, as in any task; when there is none, nobody else does."""
    heard: list[str] = []

    async def work(wait: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        heard.append("cancelled")
        if wait:
            await asyncio.sleep(0)
            heard.append("never")

    assert await start(work(wait=False)) is None

    async def innocent() -> None:
        await asyncio.sleep(0)
        heard.append("innocent")

    task = await start(innocent())
    assert task is not None
    await asyncio.wait_for(task, 5)
    task = await start(work(wait=True))
    assert task is not None
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert heard == ["cancelled", "innocent", "cancelled"]


async def test_a_cancel_before_the_task_has_begun() -> None:
    """In the very callback that has started it: the work hears it where it waits, instead of vanishing."""
    starter, heard = Starter(asyncio.get_running_loop()), list[str]()

    async def work() -> None:
        heard.append("began")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            heard.append("left")

    def start_and_cancel() -> asyncio.Task[None]:
        task = starter.start(work())
        assert task is not None
        task.cancel()
        return task

    task = await from_a_callback(start_and_cancel)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert heard == ["began", "left"]
    starter.close()

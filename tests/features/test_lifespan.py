"""A lifespan that many share: entered once, left once, whoever comes and goes, from whatever task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mcpkit.features.lifespan import SharedLifespan
from tests.client.scripted import until

SECONDS = 20


class Life:
    """Writes down what happens to it; can be held up at either end, and can fail there."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.tasks: list[asyncio.Task[object] | None] = []
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.fault: dict[str, Exception] = {}
        self.shared = SharedLifespan(self.span)

    @asynccontextmanager
    async def span(self) -> AsyncIterator[None]:
        self.note("enter")
        await self.may_start.wait()
        yield
        self.note("leave")

    def note(self, what: str) -> None:
        self.seen.append(what)
        self.tasks.append(asyncio.current_task())
        if what in self.fault:
            raise self.fault[what]


async def test_many_share_one() -> None:
    """The first enters, the last leaves; afterwards it can be entered anew."""
    life = Life()
    async with asyncio.timeout(SECONDS):
        for _ in range(2):
            life.seen.clear()
            async with AsyncExitStack() as users:
                await asyncio.gather(*(users.enter_async_context(life.shared.entered()) for _ in range(3)))
                assert life.seen == ["enter"]
            assert life.seen == ["enter", "leave"]


async def test_it_is_entered_and_left_by_one_task() -> None:
    """Though those who use it come and go in tasks of their own."""
    life, first_in, first_may_go = Life(), asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with life.shared.entered():
            first_in.set()
            await first_may_go.wait()

    async with asyncio.timeout(SECONDS):
        going = asyncio.create_task(first())
        await first_in.wait()
        async with life.shared.entered():
            first_may_go.set()
            await going
            assert life.seen == ["enter"]
    assert life.seen == ["enter", "leave"]
    assert len(set(life.tasks)) == 1


async def test_a_start_that_fails_is_told_to_everyone() -> None:
    """And the next one tries again."""
    life = Life()
    life.fault["enter"] = RuntimeError("no database")

    async def use() -> None:
        async with life.shared.entered():
            raise AssertionError("it was not entered")

    async with asyncio.timeout(SECONDS):
        found = await asyncio.gather(use(), use(), return_exceptions=True)
        assert [str(error) for error in found] == ["no database"] * 2
        life.fault.clear()
        async with life.shared.entered():
            pass
    assert life.seen == ["enter", "enter", "leave"]


async def test_an_end_that_fails_is_told_to_the_last() -> None:
    life = Life()
    life.fault["leave"] = RuntimeError("no goodbye")
    async with asyncio.timeout(SECONDS):
        with pytest.raises(RuntimeError, match="no goodbye"):
            async with life.shared.entered():
                pass


async def test_who_stops_waiting_for_the_start_stops_nobody_else() -> None:
    """Only when nobody waits any more is entering given up."""
    life = Life()
    life.may_start.clear()

    async def use() -> None:
        async with life.shared.entered():
            pass

    async with asyncio.timeout(SECONDS):
        impatient, patient = asyncio.create_task(use()), asyncio.create_task(use())
        await until(lambda: life.shared._current is not None and life.shared._current.users == 2)
        impatient.cancel()
        await asyncio.wait({impatient})
        life.may_start.set()
        await patient
        assert life.seen == ["enter", "leave"]

        life.may_start.clear()
        alone = asyncio.create_task(use())
        await until(lambda: life.seen == ["enter", "leave", "enter"])
        alone.cancel()
        await asyncio.wait({alone})
        assert alone.cancelled()
        assert life.shared._current.task.done()


async def test_another_event_loop_uses_the_first_ones() -> None:
    """What a lifespan opens belongs to one loop; a second one does not open it again."""
    life = Life()

    async def use() -> None:
        async with life.shared.entered():
            life.seen.append("used")

    async with asyncio.timeout(SECONDS), life.shared.entered():
        thread = threading.Thread(target=lambda: asyncio.run(use()))
        thread.start()
        await asyncio.to_thread(thread.join, SECONDS)
    assert life.seen == ["enter", "used", "leave"]

"""Deadlines that can be stopped."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from mcpkit.client.deadline import Deadline, paused
from tests.client.scripted import soon


async def test_it_expires() -> None:
    """AVAIL-01."""
    with pytest.raises(TimeoutError):
        async with Deadline.after(0):
            await asyncio.Event().wait()


async def test_none_never_expires() -> None:
    """A listen stream has no deadline."""
    async with Deadline.after(None) as timeout:
        assert timeout.when() is None


async def test_a_pause_stops_all_that_run() -> None:
    """While a user signs in, neither the call nor the handshake around it runs out of time; both go on afterwards."""
    async with Deadline.after(5) as outer:
        async with Deadline.after(0.5) as inner:
            with paused():
                assert outer.when() is None
                assert inner.when() is None
            now = asyncio.get_running_loop().time()
            assert inner.when() is not None
            assert 0 < (inner.when() or 0) - now <= 0.5
        with paused():
            assert inner.when() is not None, "a deadline that is over is left alone"
        assert 0 < (outer.when() or 0) - now <= 5


async def test_it_still_expires_after_a_pause() -> None:
    """A pause is no pardon."""

    async def work() -> None:
        async with Deadline.after(0.001):
            with paused():
                await asyncio.sleep(0)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await soon(work())


async def test_tasks_have_deadlines_of_their_own() -> None:
    """One call's pause does not stop another's clock."""
    reached = asyncio.Event()

    async def other() -> None:
        async with Deadline.after(30) as mine:
            reached.set()
            await asyncio.sleep(0)
            assert mine.when() is not None

    task = asyncio.create_task(other())
    await soon(reached.wait())
    with paused():
        await soon(task)


async def test_a_task_outlives_the_deadlines_it_was_started_under() -> None:
    """What goes on in the background sends its messages after the call that started it is over, or out of time."""
    reached = asyncio.Event()

    async def later() -> str:
        await reached.wait()
        with paused():
            return "sent"

    async with Deadline.after(5):
        after_a_call = asyncio.create_task(later())
    with suppress(TimeoutError):
        async with Deadline.after(0):
            after_a_timeout = asyncio.create_task(later())
            await asyncio.Event().wait()
    reached.set()
    assert [await soon(after_a_call), await soon(after_a_timeout)] == ["sent", "sent"]

"""Opening and sweeping sessions, and what notifications mean to them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.jsonrpc.messages import Notification
from mcpkit.kernel import Kernel
from mcpkit.protocol.lifecycle import Phase
from mcpkit.sessions.memory import MemoryStore
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused, Visit
from mcpkit.transports.reception import Reception, hear


def reception(**settings: Any) -> Reception:
    given = Settings(**settings)
    store = MemoryStore(most=given.max_sessions, idle_seconds=given.session_idle_seconds)
    return Reception(Kernel({"name": "x", "version": "1"}), store, given)


def visit() -> Visit:
    return Visit({}, None, None, {}, 3)  # type: ignore[arg-type]


class Watched(MemoryStore):
    """Tells when it has been swept; may be out of reach."""

    away = False
    swept: asyncio.Semaphore

    async def sweep(self) -> int:
        try:
            if self.away:
                raise ConnectionError
            return await super().sweep()
        finally:
            self.swept.release()


def watched(*, away: bool = False) -> tuple[Reception, Watched]:
    store = Watched(idle_seconds=1)
    store.swept = asyncio.Semaphore(0)
    store.away = away
    desk = Reception(Kernel({"name": "x", "version": "1"}), store, Settings())
    desk._pause = 0.01
    return desk, store


async def test_one_timer_sweeps_while_there_are_sessions() -> None:
    desk, store = watched()
    session = await desk.open(visit())
    first = desk._timer
    await desk.open(visit())
    assert desk._timer is first
    for one in store.open_sessions():
        one.seen -= 10
    async with asyncio.timeout(5):
        await store.swept.acquire()
    await asyncio.sleep(0)
    assert (store.count, session.phase, desk._timer) == (0, Phase.CLOSED, None)


async def test_a_store_out_of_reach_is_swept_next_time() -> None:
    desk, store = watched(away=True)
    await desk.open(visit())
    async with asyncio.timeout(5):
        await store.swept.acquire()
        await store.swept.acquire()
    assert store.count == 1


async def test_nothing_opens_while_draining() -> None:
    desk = reception()
    desk.draining = True
    with pytest.raises(Refused) as caught:
        await desk.open(visit(), 7)
    assert (caught.value.status, b'"id":7' in caught.value.body) == (503, True)


@pytest.mark.parametrize(
    ("before", "after"), [(Phase.INITIALIZING, Phase.READY), (Phase.NEW, Phase.NEW), (Phase.CLOSED, Phase.CLOSED)]
)
async def test_initialized_makes_ready_what_was_initializing(before: Phase, after: Phase) -> None:
    """INIT-03."""
    session = await reception().open(visit())
    session.phase = before
    await hear(session, Notification("notifications/initialized", {}))
    assert session.phase is after

"""A call that waits, and its deadline."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client.deadline import Deadline
from mcpkit.client.notices import Delivery, Progress
from mcpkit.client.underway import Manner, Underway


@pytest.mark.parametrize(
    ("silence", "whole", "until"),
    [(5.0, 100.0, 55.0), (5.0, 20.0, 30.0), (None, 20.0, 30.0), (5.0, None, 55.0), (None, None, None)],
)
def test_when_it_is_given_up(silence: float | None, whole: float | None, until: float | None) -> None:
    """TIME-01, TIME-02: after silence, at the latest after the whole."""
    assert Manner(silence=silence, whole=whole).until(50.0, 10.0) == until


async def test_signs_of_life() -> None:
    """Each moves the deadline; one that does not go forward is none."""
    heard: list[Progress] = []
    started = asyncio.get_running_loop().time()
    async with Deadline(started + 1) as deadline:
        underway = Underway(Manner(silence=50.0, whole=100.0, progress=heard.append), deadline, started)

        def moved(params: dict[str, Any]) -> bool:
            deadline.reschedule(started + 1)
            underway.reported(params, Delivery(10))
            return (deadline.when() or 0) > started + 2

        assert moved({"progress": 1})
        assert not moved({"progress": 1})
        assert not moved({"progress": 0.5})
        assert not moved({"progress": "x"})
        assert moved({"progress": 2})
        assert [progress.progress for progress in heard] == [1, 2]


async def test_the_servers_silence_while_it_waits_for_us() -> None:
    """A user who answers a question may take longer than the server may be silent; the whole still holds."""
    started = asyncio.get_running_loop().time()
    async with Deadline(started + 5) as deadline:
        underway = Underway(Manner(silence=5.0, whole=100.0), deadline, started)
        underway.suspend()
        assert deadline.when() == started + 100
        assert underway.alive()
        assert (deadline.when() or 0) < started + 10
        Underway(Manner(silence=5.0, whole=None), deadline, started).suspend()
        assert deadline.when() is None


async def test_too_late() -> None:
    """What is over is not brought back to life."""
    heard: list[Progress] = []
    with pytest.raises(TimeoutError):
        async with Deadline(0.0) as deadline:
            await asyncio.sleep(0)
    underway = Underway(Manner(progress=heard.append), deadline, 0.0)
    underway.suspend()
    assert not underway.alive()
    underway.reported({"progress": 1}, Delivery(10))
    assert heard == []

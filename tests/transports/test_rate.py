"""A token bucket for each caller, and no memory without end; one for all replicas, where they share it."""

from __future__ import annotations

import pytest

from mcpkit.sessions.store import StoreAway
from mcpkit.transports import rate
from mcpkit.transports.asgi import Refused
from mcpkit.transports.rate import Pace, TokenBuckets


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Shared:
    """What a Redis says."""

    def __init__(self, *waits: float | None) -> None:
        self.waits = list(waits)

    async def take(self, caller: str) -> float:
        wait = self.waits.pop(0)
        if wait is None:
            raise StoreAway
        return wait


def test_a_burst_then_a_pace(clock: Clock) -> None:
    """AVAIL-03: others are not held up."""
    buckets = TokenBuckets(0.5, 3, clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 2]
    assert buckets.take("b") == 0
    clock.now += 2
    assert [buckets.take("a") for _ in range(2)] == [0, 2]
    clock.now += 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 2]


def test_callers_who_paused_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_CALLERS", 3)
    buckets = TokenBuckets(1, 1, clock)
    for caller in "abc":
        buckets.take(caller)
    assert buckets.take("a")
    clock.now += 1
    buckets.take("c")
    buckets.take("d")
    assert buckets.take("c")
    assert set(buckets._buckets) == {"c", "d"}
    for caller in "efgh":
        buckets.take(caller)
    assert len(buckets._buckets) <= 3


async def test_who_comes_too_fast_is_told_when_to_come_again(clock: Clock) -> None:
    """429 with Retry-After in whole seconds, at least one."""
    pace = Pace(TokenBuckets(0.4, 1, clock))
    await pace.keep("a")
    with pytest.raises(Refused) as caught:
        await pace.keep("a")
    assert (caught.value.status, dict(caught.value.headers)[b"retry-after"]) == (429, b"3")


async def test_shared_buckets_decide_while_they_can(clock: Clock) -> None:
    """Out of reach, each replica counts for itself: nobody is turned away for want of a Redis, nor let in for ever."""
    pace = Pace(TokenBuckets(1, 1, clock), Shared(0, 0, 0.2, None, None, 0))
    await pace.keep("a")
    await pace.keep("a")
    with pytest.raises(Refused) as caught:
        await pace.keep("a")
    assert dict(caught.value.headers)[b"retry-after"] == b"1"
    await pace.keep("a")
    with pytest.raises(Refused):
        await pace.keep("a")
    await pace.keep("a")

"""A token bucket for each caller, and no memory without end."""

from __future__ import annotations

import pytest

from mcpkit.transports import rate
from mcpkit.transports.asgi import Refused
from mcpkit.transports.rate import TokenBuckets


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(buckets: TokenBuckets, caller: str) -> Refused:
    with pytest.raises(Refused) as caught:
        buckets.take(caller)
    return caught.value


def test_a_burst_then_a_pace(clock: Clock) -> None:
    """AVAIL-03: 429 with Retry-After, and others are not held up."""
    buckets = TokenBuckets(0.5, 3, clock)
    for _ in range(3):
        buckets.take("a")
    refusal = refused(buckets, "a")
    assert (refusal.status, dict(refusal.headers)[b"retry-after"]) == (429, b"2")
    buckets.take("b")
    clock.now += 2
    buckets.take("a")
    refused(buckets, "a")
    clock.now += 1000
    for _ in range(3):
        buckets.take("a")
    refused(buckets, "a")


def test_callers_who_paused_are_forgotten(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MOST_CALLERS", 3)
    buckets = TokenBuckets(1, 1, clock)
    for caller in "abc":
        buckets.take(caller)
    refused(buckets, "a")
    clock.now += 1
    buckets.take("c")
    buckets.take("d")
    refused(buckets, "c")
    assert set(buckets._buckets) == {"c", "d"}
    for caller in "efgh":
        buckets.take(caller)
    assert len(buckets._buckets) <= 3

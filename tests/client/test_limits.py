"""Bounds, deadlines and pauses."""

from __future__ import annotations

from mcpkit.client.limits import Bounds, Deadlines, Pauses


def test_pauses_double_up_to_a_limit() -> None:
    """AVAIL-07: backoff with jitter, never beyond the limit, never without one."""
    pauses = Pauses(first=1.0, most=8.0)
    for attempt, most in enumerate([1.0, 2.0, 4.0, 8.0, 8.0]):
        assert most * 0.75 <= pauses.before(attempt) <= most
    assert pauses.before(10_000) <= 8.0
    assert pauses.before(-3) <= 1.0
    assert len({pauses.before(3) for _ in range(20)}) > 1, "many clients would come at once"


def test_everything_has_a_bound_by_default() -> None:
    """AVAIL-01, AVAIL-07: a 5 MiB result fits, nothing is endless."""
    assert Bounds().message_bytes > 5 * 1024 * 1024
    assert all(value > 0 for value in (Bounds().pages, Bounds().rounds, Bounds().questions, Bounds().attempts))
    deadlines = Deadlines()
    assert all(getattr(deadlines, name) for name in Deadlines.__slots__)


def test_the_codec_is_bounded_alike() -> None:
    """Depth is one setting."""
    assert Bounds(depth=7).json.depth == 7

"""The sums over all connections: what is held, what is unread, what is being served."""

from __future__ import annotations

import pytest

from mcpkit.limits import BoundReached
from mcpkit.transports.load import Load, Scales


class Reader:
    """A line that notes that it was dropped."""

    def __init__(self) -> None:
        self.dropped = False

    def drop(self) -> None:
        self.dropped = True


def test_requests_are_held_up_to_a_sum() -> None:
    """AVAIL-03."""
    load = Load(100)
    load.hold("", 0, 60)
    load.hold("", 0, 40)
    with pytest.raises(BoundReached, match="MCP_MAX_PENDING_BYTES"):
        load.hold("", 40, 41)
    load.hold("", 60, 0)
    load.hold("", 40, 100)


def test_requests_of_one_caller_are_held_up_to_a_share() -> None:
    load = Load(100, 25)
    load.hold("one", 0, 25)
    with pytest.raises(BoundReached, match="MCP_CALLER_SHARE") as refused:
        load.hold("one", 25, 26)
    assert refused.value.of_caller
    for other in ("two", "three", "four"):
        load.hold(other, 0, 25)
    load.hold("one", 25, 0)
    load.hold("", 0, 25)  # whoever stands behind a proxy
    with pytest.raises(BoundReached) as refused:
        load.hold("one", 0, 1)
    assert not refused.value.of_caller


def test_the_longest_queue_gives_way() -> None:
    """AVAIL-04."""
    load, lines = Load(100), [Reader() for _ in range(3)]
    for line, size in zip(lines, (30, 50, 20), strict=True):
        load.unread(line, size)
    load.unread(lines[0], 10)
    load.unread(lines[2], 45)
    assert [line.dropped for line in lines] == [False, True, False]
    load.unread(lines[1], 0)
    load.unread(lines[0], 55)
    assert not lines[0].dropped


def test_of_a_caller_s_queues_the_longest_of_its_own_gives_way() -> None:
    """Many short queues of one caller never cost another the one long answer that it waits for."""
    load, lines, other = Load(100, 25), [Reader() for _ in range(4)], Reader()
    load.unread(other, 24, "other")
    for line, size in zip(lines, (10, 12, 2, 8), strict=True):
        load.unread(line, size, "one")
    assert [line.dropped for line in lines] == [False, True, False, False]
    load.unread(lines[2], 20, "one")
    assert [line.dropped for line in lines] == [False, True, True, False]
    assert not other.dropped
    for line in (*lines, other):
        load.unread(line, 0)
    load.unread(lines[0], 25, "one")
    assert not lines[0].dropped


def test_what_json_becomes_is_weighed() -> None:
    """A body of many small values takes far more memory than its bytes; each is served when no such other is."""
    scales = Scales(400_000)
    text = b'{"text":"%b"}' % (b"x" * 2000)
    many = b"[%b]" % b",".join([b'{"a":1}'] * 2000)
    light = scales.take(text)
    assert len(text) < light < 2 * len(text)
    heavy = scales.take(many)
    assert heavy > 400_000
    with pytest.raises(BoundReached):
        scales.take(many)
    assert scales.take(text) == light  # heavy ones keep no usual ones out
    scales.give(heavy)
    assert scales.take(many) == heavy


def test_usual_requests_are_bounded_too() -> None:
    scales, text = Scales(200_000), b"x" * 40_000
    assert [scales.take(text) for _ in range(2)] == [40_000, 40_000]
    with pytest.raises(BoundReached):
        scales.take(text)
    scales.give(40_000)
    assert scales.take(text) == 40_000


def test_one_caller_s_requests_leave_room_for_others() -> None:
    scales, large, text = Scales(2_000_000, 25), b"[%b]" % (b"0," * 5000), b"x" * 40_000
    heavy = scales.take(large, "one")
    with pytest.raises(BoundReached, match="MCP_CALLER_SHARE") as refused:
        scales.take(large, "one")
    assert refused.value.of_caller
    assert scales.take(large, "two") == heavy
    for _ in range(scales.take(text, "one") and 5):
        scales.take(text, "one")
    with pytest.raises(BoundReached, match="MCP_CALLER_SHARE"):
        scales.take(text, "one")
    assert scales.take(text, "two") == 40_000
    scales.give(heavy, "one")
    assert scales.take(large, "one") == heavy


def test_a_request_that_is_more_than_its_caller_s_share_is_served_alone() -> None:
    scales, large = Scales(1_200_000, 1), b"[%b]" % (b"0," * 5000)
    heavy = scales.take(large, "one")
    assert heavy > 12_000
    assert scales.take(large, "two") == heavy
    with pytest.raises(BoundReached):
        scales.take(large, "one")

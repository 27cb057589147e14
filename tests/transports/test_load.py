"""The sums over all connections: what is held, what is unread, what is being served."""

from __future__ import annotations

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
    assert load.hold(0, 60)
    assert load.hold(0, 40)
    assert not load.hold(40, 41)
    assert not load.hold(41, 41)
    assert load.hold(60, 0)


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


def test_what_json_becomes_is_weighed() -> None:
    """A body of many small values takes far more memory than its bytes; each is served when no such other is."""
    scales = Scales(400_000)
    text = b'{"text":"%b"}' % (b"x" * 2000)
    many = b"[%b]" % b",".join([b'{"a":1}'] * 2000)
    light = scales.take(text)
    assert len(text) < light < 2 * len(text)
    heavy = scales.take(many)
    assert heavy > 400_000
    assert scales.take(many) == 0
    assert scales.take(text) == light  # heavy ones keep no usual ones out
    scales.give(heavy)
    assert scales.take(many) == heavy


def test_usual_requests_are_bounded_too() -> None:
    scales, text = Scales(200_000), b"x" * 40_000
    assert [scales.take(text) for _ in range(3)] == [40_000, 40_000, 0]
    scales.give(40_000)
    assert scales.take(text) == 40_000

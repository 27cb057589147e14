"""A mailbox keeps what was sent, in order, per stream, within its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mcpkit.sessions.delivery import GENERAL, Reader, Stored, Take, UnknownEvent
from mcpkit.sessions.mailbox import OVERHEAD, Bounds, MemoryMailbox, Shelf


def mailbox(**bounds: float) -> MemoryMailbox:
    return MemoryMailbox(Shelf(Bounds(**bounds)))  # type: ignore[arg-type]


def texts(found: Sequence[Stored]) -> list[bytes]:
    return [stored.data for stored in found]


async def soon(reader: Reader) -> Sequence[Stored]:
    async with asyncio.timeout(5):
        return await reader.next()


async def test_event_ids_are_unique_and_tell_their_stream() -> None:
    """SHL-30."""
    box = mailbox()
    one, two = box.open(), box.open()
    ids = [await box.append(one, b"a"), await box.append(two, b"b"), await box.mark(one), await box.append(one, b"c")]
    assert len(set(ids)) == 4
    assert [box.find(id)[0] for id in ids] == [one, two, one, one]


async def test_nothing_follows_the_last_message_of_a_stream() -> None:
    """SHL-04: neither stored nor told; the others go on."""
    box = mailbox()
    stream, other = box.open(), box.open()
    first = await box.append(stream, b"a")
    await box.append(stream, b"b", last=True)
    assert await box.append(stream, b"late") == ""
    assert await box.append("never opened", b"x") == ""
    assert texts(await soon(box.follow(stream, box.find(first)[1]))) == [b"b"]
    assert await box.append(other, b"c")


async def test_who_waits_is_handed_a_message_without_being_woken() -> None:
    """It is stored all the same: a client that comes back can resume before it (SHL-30)."""
    box, taken = mailbox(), list[bytes]()
    reader = box.follow(GENERAL)

    def take(stored: Stored) -> bool:
        taken.append(stored.data)
        return stored.data != b"no"

    waiting = asyncio.ensure_future(reader.next(take))
    await asyncio.sleep(0)
    first = await box.append(GENERAL, b"a")
    await box.append(GENERAL, b"b")
    assert (taken, waiting.done()) == ([b"a", b"b"], False)
    await box.append(GENERAL, b"no")
    await box.append(GENERAL, b"after")
    assert texts(await asyncio.wait_for(waiting, 5)) == [b"no", b"after"]
    assert taken == [b"a", b"b", b"no"], "while one is declined the next must not overtake it"
    reader.close()
    assert texts(await soon(box.follow(*box.find(first)))) == [b"b", b"no", b"after"]
    await box.append(GENERAL, b"new")
    assert texts(await soon(box.follow(GENERAL))) == [b"new"]


async def test_only_the_newest_reader_is_handed_messages_and_the_last_one_to_nobody() -> None:
    """SHL-26, SHL-27; the end of a stream is for the reader to notice."""
    box, taken = mailbox(), list[str]()
    stream = box.open()
    old, new = box.follow(stream, 0), box.follow(stream, 0)

    def taker(name: str) -> Take:
        return lambda stored: taken.append(name) is None

    waiting = [asyncio.ensure_future(reader.next(taker(name))) for reader, name in ((old, "old"), (new, "new"))]
    await asyncio.sleep(0)
    await box.append(stream, b"a")
    assert taken == ["new"]
    await box.append(stream, b"end", last=True)
    assert [texts(found) for found in await asyncio.wait_for(asyncio.gather(*waiting), 5)] == [[], [b"end"]]
    assert taken == ["new"]


async def test_a_resumed_stream_gets_what_came_after_and_nothing_of_another() -> None:
    """SHL-32: same stream only."""
    box = mailbox()
    one, two = box.open(), box.open()
    first = await box.append(one, b"a")
    await box.append(two, b"b")
    await box.append(one, b"c", last=True)
    reader = box.follow(*box.find(first))
    assert texts(await soon(reader)) == [b"c"]
    assert texts(await soon(reader)) == []


async def test_the_first_mark_can_be_resumed_from() -> None:
    """SHL-34: the priming event's id must be resumable, before and after there is a message."""
    box = mailbox()
    stream = box.open()
    mark = await box.mark(stream)
    waiting = asyncio.ensure_future(soon(box.follow(*box.find(mark))))
    await asyncio.sleep(0)
    await box.append(stream, b"late", last=True)
    assert texts(await waiting) == [b"late"]


@pytest.mark.parametrize("event", ["", "1", "1-", "-1", "1-x", "1-²", "9-1", "1-99", "1--1", "1-" + "9" * 5000, "x-1"])
async def test_an_event_never_given_out_is_unknown(event: str) -> None:
    """SHL-33, SESS-05."""
    box = mailbox()
    await box.append(box.open(), b"a")
    with pytest.raises(UnknownEvent):
        box.find(event)


async def test_the_oldest_go_first_and_cannot_be_resumed_from() -> None:
    """SHL-34: bounded by count; what was lost is never passed over in silence."""
    box = mailbox(events=3)
    stream = box.open()
    ids = [await box.append(stream, b"%d" % n) for n in range(5)]
    with pytest.raises(UnknownEvent):
        box.find(ids[0])
    assert texts(await soon(box.follow(*box.find(ids[1])))) == [b"2", b"3", b"4"]


async def test_bytes_are_bounded_per_session_and_per_process() -> None:
    """SHL-34."""
    one = mailbox(bytes=10 * (OVERHEAD + 100))
    shelf = Shelf(Bounds(total_bytes=20 * (OVERHEAD + 100)))
    many = [MemoryMailbox(shelf) for _ in range(10)]
    stream = one.open()
    for _ in range(100):
        await one.append(stream, b"x" * 100)
    for box in many:
        for _ in range(10):
            await box.append(GENERAL, b"x" * 100)
    assert len(one.since(one._streams[stream], 0)) == 10
    assert shelf.bytes == 20 * (OVERHEAD + 100)
    for box in many:
        box.close()
    assert shelf.bytes == 0


async def test_old_messages_expire() -> None:
    """SHL-34: bounded by age."""
    now = [0.0]
    shelf = Shelf(Bounds(seconds=10), lambda: now[0])
    box = MemoryMailbox(shelf)
    stream = box.open()
    id = await box.append(stream, b"a", last=True)
    now[0] = 10.0
    shelf.expire()
    assert shelf.bytes == 0
    with pytest.raises(UnknownEvent):
        box.find(id)


async def test_of_two_readers_the_newest_gets_the_messages() -> None:
    """SHL-26, SHL-27: never the same message on two streams; the older goes on when the newer leaves."""
    box = mailbox()
    old, new = box.follow(GENERAL), box.follow(GENERAL)
    waiting = asyncio.ensure_future(soon(old))
    await asyncio.sleep(0)
    await box.append(GENERAL, b"a")
    assert texts(await soon(new)) == [b"a"]
    new.close()
    await box.append(GENERAL, b"b")
    assert texts(await waiting) == [b"b"]


async def test_messages_wait_for_the_next_reader_and_come_once() -> None:
    """SHL-28: between two GET streams nothing is lost, nothing comes twice."""
    box = mailbox()
    first = box.follow(GENERAL)
    await box.append(GENERAL, b"a")
    await soon(first)
    first.close()
    await box.append(GENERAL, b"b")
    assert texts(await soon(box.follow(GENERAL))) == [b"b"]


async def test_closing_ends_every_reader() -> None:
    box = mailbox()
    waiting = asyncio.ensure_future(soon(box.follow(GENERAL)))
    await asyncio.sleep(0)
    box.close()
    assert texts(await waiting) == []
    with pytest.raises(UnknownEvent):
        box.follow(GENERAL)


async def test_a_dropped_stream_ends_without_a_last_message() -> None:
    box = mailbox()
    stream = box.open()
    waiting = asyncio.ensure_future(soon(box.follow(stream, 0)))
    await asyncio.sleep(0)
    assert box.is_followed(stream)
    box.drop(stream)
    assert texts(await waiting) == []


async def test_a_cancelled_reader_loses_nothing() -> None:
    box = mailbox()
    reader = box.follow(GENERAL)
    waiting = asyncio.ensure_future(reader.next())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await box.append(GENERAL, b"a")
    assert texts(await soon(reader)) == [b"a"]


async def test_nothing_is_left_of_streams_that_ended() -> None:
    box = mailbox(events=2)
    for _ in range(50):
        stream = box.open()
        await box.append(stream, b"x", last=True)
    assert len(box._streams) == 2


async def test_a_closed_reader_stops_waiting() -> None:
    box = mailbox()
    reader = box.follow(GENERAL)
    waiting = asyncio.ensure_future(soon(reader))
    await asyncio.sleep(0)
    reader.close()
    reader.close()
    assert texts(await waiting) == []
    assert not box.followed


async def test_one_caller_s_messages_push_out_no_other_s() -> None:
    """The oldest of its own go, in whichever of its sessions they are."""
    shelf = Shelf(Bounds(total_bytes=40_000, share=25))
    greedy, other = [MemoryMailbox(shelf, "one") for _ in range(2)], MemoryMailbox(shelf, "two")
    theirs = other.open()
    first = await other.append(theirs, b"kept")
    streams = [box.open() for box in greedy]
    ids = [await greedy[n % 2].append(streams[n % 2], b"x" * 1000) for n in range(20)]
    assert shelf.bytes < 12_000
    other.find(first)
    assert [stored.data for stored in await other.follow(theirs).next()] == [b"kept"]
    left = [len(await box.follow(stream).next()) for box, stream in zip(greedy, streams, strict=True)]
    assert sum(left) == 10_000 // (1000 + OVERHEAD)
    with pytest.raises(UnknownEvent):
        greedy[0].find(ids[0])

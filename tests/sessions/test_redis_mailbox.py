"""A mailbox in Redis keeps the promises of the one in memory, between replicas too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.sessions import redis_mailbox
from mcpkit.sessions.delivery import GENERAL, Reader, Stored, UnknownEvent
from mcpkit.sessions.mailbox import OVERHEAD, Bounds
from mcpkit.sessions.redis_mailbox import RedisMailbox
from mcpkit.sessions.redis_replica import Replica
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import StoreAway
from tests.fixtures.redis_server import RedisServer
from tests.sessions.conftest import replica, until

pytestmark = pytest.mark.redis
Two = tuple[Replica, Replica]


def texts(found: Sequence[Stored]) -> list[bytes]:
    return [stored.data for stored in found]


async def soon(reader: Reader) -> Sequence[Stored]:
    async with asyncio.timeout(10):
        return await reader.next()


async def following(box: RedisMailbox, event: str | None = None, stream: str = GENERAL) -> Reader:
    reader = box.follow(*box.find(event)) if event is not None else box.follow(stream)
    await reader.begin()
    return reader


async def both(two: Two) -> tuple[RedisMailbox, RedisMailbox]:
    """The mailbox of one session, as two replicas see it."""
    session = await two[0].store.create(NEWEST_HANDSHAKE)
    other = await two[1].store.get(session.id)
    assert other is not None
    return box_of(session), box_of(other)


def box_of(session: Session) -> RedisMailbox:
    assert isinstance(session.mailbox, RedisMailbox)
    return session.mailbox


async def test_event_ids_are_unique_ordered_and_tell_their_stream(two: Two) -> None:
    """SHL-30: whichever replica gives them out."""
    here, there = await both(two)
    one, other = here.open(), there.open()
    ids = [
        await here.append(one, b"a"),
        await there.append(other, b"b"),
        await here.mark(one),
        await there.append(one, b"c"),
    ]
    assert [here.find(id)[0] for id in ids] == [one, other, one, one]
    places = [here.find(id)[1] for id in ids]
    assert places == sorted(set(places))


async def test_a_stream_is_resumed_elsewhere_and_followed_to_its_end(two: Two) -> None:
    """SHL-32: same stream only; what comes later wakes a reader at another replica."""
    here, there = await both(two)
    stream, noise = here.open(1), here.open(2)
    mark = await here.mark(stream)
    await here.append(noise, b"noise")
    await here.append(stream, b"a")
    reader = await following(there, mark)
    assert texts(await soon(reader)) == [b"a"]
    waiting = asyncio.ensure_future(soon(reader))
    await asyncio.sleep(0)
    assert await here.append(stream, b"b", last=True)
    assert here.is_followed(stream)
    assert texts(await waiting) == [b"b"]
    assert await soon(reader) == ()
    reader.close()


@pytest.mark.parametrize("event", ["", "1", "1-", "-1", "1-x", "1-²", "1--1", "1-" + "9" * 5000, "x-1", "1-01"])
async def test_what_is_no_event_id_is_unknown(two: Two, event: str) -> None:
    """SHL-33, SESS-05."""
    here, _ = await both(two)
    with pytest.raises(UnknownEvent):
        here.find(event)


@pytest.mark.parametrize("event", ["1-0", "99999999999999-0", "5-77"])
async def test_an_event_never_given_out_is_unknown_when_it_is_followed(two: Two, event: str) -> None:
    here, _ = await both(two)
    if event == "1-0":
        for _ in range(300):
            await here.append(GENERAL, b"x")
    with pytest.raises(UnknownEvent):
        await following(here, event)


async def test_the_oldest_go_first_and_cannot_be_resumed_from(redis: RedisServer) -> None:
    """SHL-34: bounded by count and by bytes; what was lost is never passed over in silence."""
    bounds = Bounds(events=3, bytes=3 * (OVERHEAD + 100))
    async with replica(redis, bounds) as one:
        box = box_of(await one.store.create(NEWEST_HANDSHAKE))
        stream = box.open()
        ids = [await box.append(stream, b"%d" % n) for n in range(5)]
        with pytest.raises(UnknownEvent):
            await following(box, ids[0])
        assert texts(await soon(await following(box, ids[1]))) == [b"2", b"3", b"4"]
        await box.append(stream, b"x" * 500)
        assert texts(await soon(await following(box, ids[4]))) == [b"x" * 500]


async def test_old_messages_expire(redis: RedisServer) -> None:
    """SHL-34: bounded by age."""
    async with replica(redis, Bounds(seconds=0.2)) as one:
        box = box_of(await one.store.create(NEWEST_HANDSHAKE))
        stream = box.open()
        first = await box.append(stream, b"a")
        await box.append(stream, b"b")
        await until(lambda: redis.ask("EXISTS", f"{{mcpkit}}:box:{box._session}") == ":0")
        with pytest.raises(UnknownEvent):
            await following(box, first)


async def test_of_two_readers_the_newest_gets_the_messages_wherever_it_is(two: Two) -> None:
    """SHL-26, SHL-27: never the same message on two streams; the older goes on when the newer leaves."""
    here, there = await both(two)
    old, new = await following(here), await following(there)
    waiting = asyncio.ensure_future(soon(old))
    await asyncio.sleep(0)
    await here.append(GENERAL, b"a")
    assert texts(await soon(new)) == [b"a"]
    new.close()
    await until(lambda: not there.followed)
    await here.append(GENERAL, b"b")
    assert texts(await waiting) == [b"b"]


async def test_a_message_whose_storing_was_told_twice_is_stored_once(two: Two) -> None:
    """A step whose answer was lost is sent again."""
    here, _ = await both(two)
    stream = here.open()
    mark = await here.mark(stream)
    step = here._step(stream, b"a", False, None)
    first, again = [await here.link.run(redis_mailbox.scripts.APPEND, *step) for _ in range(2)]
    assert first[1] == again[1]
    assert texts(await soon(await following(here, mark))) == [b"a"]


async def test_a_notice_is_told_once_however_many_tell_it(two: Two) -> None:
    """Both replicas hear of it, and both have a stream of the session."""
    here, there = await both(two)
    reader = await following(here)
    ids = [await box.append(GENERAL, b"n", notice="5-1") for box in (here, there)]
    assert [bool(id) for id in ids] == [True, False]
    assert await there.append(GENERAL, b"older", notice="4-9") == ""
    assert await there.append(GENERAL, b"newer", notice="10-0")
    assert texts(await soon(reader)) == [b"n", b"newer"]


async def test_a_call_whose_replica_is_gone_is_answered_once(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One explicit error that says retry, at the end of its stream."""
    monkeypatch.setattr(redis_mailbox, "GRACE_SECONDS", 0.0)
    async with replica(redis) as stays:
        async with replica(redis) as goes:
            here, there = await both((goes, stays))
            marks = [await here.mark(here.open("seven")), await here.mark(here.open())]
        answered, dropped = [await following(there, mark) for mark in marks]
        (found,) = await soon(answered)
        told = orjson.loads(found.data)
        assert (told["id"], told["error"]["data"]) == ("seven", {"retry": True})
        assert await soon(answered) == ()
        assert await soon(dropped) == ()


async def test_a_dropped_stream_ends_without_a_last_message(two: Two) -> None:
    here, there = await both(two)
    stream = here.open(1)
    reader = await following(there, await here.mark(stream))
    waiting = asyncio.ensure_future(soon(reader))
    await asyncio.sleep(0)
    here.drop(stream)
    assert await waiting == ()
    assert await here.append(stream, b"late") == ""


async def test_what_can_not_be_stored_now_is_stored_later_if_it_is_an_answer(two: Two) -> None:
    here, there = await both(two)
    stream = here.open(1)
    mark = await here.mark(stream)
    here.link.lost(TimeoutError())
    with pytest.raises(StoreAway):
        await here.append(stream, b"progress")
    with pytest.raises(StoreAway):
        await here.append(stream, b"answer", last=True)
    reader = await following(there, mark)
    assert texts(await soon(reader)) == [b"answer"]
    assert await soon(reader) == ()


async def test_closing_ends_every_reader_here(two: Two) -> None:
    here, _ = await both(two)
    reader = await following(here)
    waiting = asyncio.ensure_future(soon(reader))
    await asyncio.sleep(0)
    here.close()
    assert await waiting == ()
    with pytest.raises(UnknownEvent):
        here.follow(GENERAL)

"""Sessions that any replica finds, and what one replica does to them is known to the others."""

from __future__ import annotations

import asyncio

import pytest

from mcpkit.jsonrpc.errors import McpKitError, RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, JsonObject, Response
from mcpkit.limits import BoundReached
from mcpkit.protocol.changes import Notice
from mcpkit.protocol.exchange import Client
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE, REVISIONS
from mcpkit.security.principal import Principal
from mcpkit.sessions import redis_scripts, redis_session, redis_store
from mcpkit.sessions.delivery import GENERAL
from mcpkit.sessions.mailbox import Bounds
from mcpkit.sessions.redis_replica import Replica
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import Posted, StoreAway, StoreFull
from tests.fixtures.redis_server import RedisServer
from tests.sessions.conftest import replica, until

pytestmark = pytest.mark.redis
Two = tuple[Replica, Replica]
ALICE, BOB = Principal("alice", frozenset({"read"})), Principal("bob")


class Waiting:
    """Who asked a question, or works on a call."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def resolve(self, result: JsonObject) -> None:
        self.heard.append(result)

    def reject(self, error: McpKitError) -> None:
        self.heard.append(error)

    def cancel(self, reason: str | None) -> None:
        self.heard.append(reason)


async def both(two: Two, principal: Principal | None = None) -> tuple[Session, Session]:
    one = await two[0].store.create(NEWEST_HANDSHAKE, principal)
    other = await two[1].store.get(one.id, principal)
    assert other is not None
    return one, other


async def test_a_session_is_found_anywhere_by_its_owner_only(two: Two) -> None:
    """SESS-03, SHL-48."""
    session = await two[0].store.create(NEWEST_HANDSHAKE, ALICE)
    for store in (two[0].store, two[1].store):
        assert await store.get(session.id, Principal("alice")) is not None
        assert await store.get(session.id, BOB) is None
        assert await store.get(session.id) is None
    anonymous = await two[0].store.create(NEWEST_HANDSHAKE)
    assert await two[1].store.get(anonymous.id, BOB) is None


@pytest.mark.parametrize("id", ["", "unknown", "é", "a\nb", "x" * 10_000])
async def test_what_is_no_session_is_none(two: Two, id: str) -> None:
    assert await two[0].store.get(id) is None


async def test_what_is_kept_here_is_known_there(two: Two) -> None:
    """Revision, client, phase, level and subscriptions; what changes later too, without being looked up."""
    one, other = await both(two)
    one.revision, one.client = REVISIONS[list(REVISIONS)[-1]], Client({"name": "c"}, {"sampling": {}})
    one.phase, one.log_level, one.subscriptions = Phase.READY, "error", frozenset({"a:1", "a:2"})
    await one.keep()
    found = await two[1].store.get(one.id)
    assert found is other
    assert (other.revision, other.client, other.phase) == (one.revision, one.client, Phase.READY)
    assert (other.log_level, other.subscriptions) == ("error", {"a:1", "a:2"})
    one.subscriptions -= {"a:1"}
    await one.keep()
    await until(lambda: other.subscriptions == {"a:2"})


async def test_changes_at_two_replicas_add_up(two: Two) -> None:
    """What is not kept yet here is not undone by what has been kept there."""
    one, other = await both(two)
    one.subscriptions |= {"here"}
    other.subscriptions |= {"there"}
    await other.keep()
    await two[0].store.get(one.id)
    assert one.subscriptions == {"here", "there"}
    await one.keep()
    await until(lambda: other.subscriptions == {"here", "there"})


async def test_an_end_is_an_end_everywhere(two: Two) -> None:
    """SHL-44, SHL-46."""
    one, other = await both(two)
    await two[0].store.end(one)
    assert await two[1].store.get(one.id) is None
    assert (one.phase, other.phase) == (Phase.CLOSED, Phase.CLOSED)
    again, there = await both(two)
    await two[0].store.end(again)
    await until(lambda: there.phase is Phase.CLOSED)


async def test_an_answer_reaches_who_asked(two: Two) -> None:
    """And only in its own session."""
    one, other = await both(two)
    asked, refused, unread = Waiting(), Waiting(), Waiting()
    questions = [one.peer.ask("x", {}, waiting).id for waiting in (asked, refused, unread)]
    assert len(set(questions)) == 3
    stranger, _ = await both(two)
    await stranger.answered(Response(questions[0], {"from": "stranger"}))
    await other.answered(Response(questions[0], {"from": "owner"}))
    await other.answered(ErrorResponse(questions[1], RpcError(-1, "no")))
    await other.unreadable(questions[2], RpcError(-2, "bad"))
    await until(lambda: bool(asked.heard and refused.heard and unread.heard))
    assert asked.heard == [{"from": "owner"}]
    assert [error.message for waiting in (refused, unread) for error in waiting.heard] == ["no", "bad"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("id", [1, "nobody-1", "-1", "x", None])
async def test_an_answer_to_nothing_is_ignored(two: Two, id: int | str | None) -> None:
    _, other = await both(two)
    await other.answered(ErrorResponse(id, RpcError(-1, "no")))


async def test_a_cancellation_reaches_the_call(two: Two) -> None:
    """CANC-01; type-exact: 1 is not "1"."""
    one, other = await both(two)
    number, text = Waiting(), Waiting()
    one.peer.begin(1, number)
    one.peer.begin("1", text)
    await other.cancelled("1", "enough")
    await other.cancelled(True, "never")
    await until(lambda: bool(text.heard))
    assert (number.heard, text.heard) == ([], ["enough"])


async def test_there_is_a_limit_of_sessions(redis: RedisServer) -> None:
    async with replica(redis, most=2) as one, replica(redis, most=2) as other:
        first = await one.store.create(NEWEST_HANDSHAKE)
        await other.store.create(NEWEST_HANDSHAKE)
        with pytest.raises(StoreFull):
            await other.store.create(NEWEST_HANDSHAKE)
        await one.store.end(first)
        await other.store.create(NEWEST_HANDSHAKE)
        assert await one.store.sweep() == 0


def size_of(uri: str) -> int:
    """What a URI takes in Redis that is watched."""
    return len(f"u:{uri}") + 128


async def test_one_caller_s_sessions_leave_room_for_others(redis: RedisServer) -> None:
    """Counted over all replicas; what ends anywhere, or expires, makes room."""
    bounds = Bounds(share=25)
    async with replica(redis, bounds, most=64) as one, replica(redis, bounds, most=64) as other:
        made = [await (one, other)[n % 2].store.create(NEWEST_HANDSHAKE, caller="203.0.113.1") for n in range(16)]
        for each in (one, other):
            with pytest.raises(StoreFull, match="MCP_CALLER_SHARE") as refused:
                await each.store.create(NEWEST_HANDSHAKE, caller="203.0.113.1")
            assert refused.value.of_caller
        await other.store.create(NEWEST_HANDSHAKE, caller="203.0.113.2")
        await other.store.end(made[0])
        await other.store.end(made[0])
        await one.store.create(NEWEST_HANDSHAKE, caller="203.0.113.1")
        await one.link.do("DEL", f"{{mcpkit}}:session:{made[1].id}")
        await one.link.do("ZADD", "{mcpkit}:sessions", "1", made[1].id)  # as if it had been idle for too long
        await other.store.create(NEWEST_HANDSHAKE, caller="203.0.113.1")
        with pytest.raises(StoreFull):
            await one.store.create(NEWEST_HANDSHAKE, caller="203.0.113.1")


async def test_sessions_that_an_older_replica_ended_are_found_out(redis: RedisServer) -> None:
    """It doesn't know whom they are counted for: each beat looks at some."""
    async with replica(redis, Bounds(share=25), most=64) as one:
        made = [await one.store.create(NEWEST_HANDSHAKE, caller="203.0.113.1") for _ in range(16)]
        await made[0].watch("a://b")
        for each in made:
            await one.link.do("DEL", f"{{mcpkit}}:session:{each.id}")
            await one.link.do("ZREM", "{mcpkit}:sessions", each.id)
        for _ in range(3):
            await one.link.beat()
        await one.store.create(NEWEST_HANDSHAKE, caller="203.0.113.1")
        assert not await one.link.do("HGETALL", "{mcpkit}:watched")


async def test_what_sessions_watch_is_bounded_over_all_replicas(redis: RedisServer) -> None:
    """By bytes, of one caller and of all; a session that ends or expires, and a URI that is given up, make room."""
    uris = [f"notes://{number:04}" + "x" * 1000 for number in range(40)]
    bounds = Bounds(share=25, watched_bytes=16 * size_of(uris[0]))
    async with replica(redis, bounds) as one, replica(redis, bounds) as other:
        stores = (one.store, other.store)
        mine = [await stores[n].create(NEWEST_HANDSHAKE, ALICE, "alice") for n in range(2)]
        for number in range(4):
            await mine[number % 2].watch(uris[number])
        for session in mine:
            with pytest.raises(BoundReached, match="MCP_MAX_SUBSCRIPTION_BYTES") as refused:
                await session.watch(uris[4])
            assert refused.value.of_caller
            assert len(session.subscriptions) == 2
        await mine[0].watch(uris[0])
        for number in range(3):
            theirs = await other.store.create(NEWEST_HANDSHAKE, BOB, f"bob-{number}")
            for uri in uris[10:14]:
                await theirs.watch(uri)
        with pytest.raises(BoundReached) as refused:
            await (await one.store.create(NEWEST_HANDSHAKE, BOB, "carol")).watch(uris[0])
        assert not refused.value.of_caller
        mine[0].unwatch(uris[0])
        await mine[0].keep()
        await mine[1].watch(uris[5])
        there = await one.store.get(mine[1].id, ALICE)
        assert there is not None
        assert there.subscriptions == {uris[1], uris[3], uris[5]}
        await one.store.end(mine[1])
        for uri in uris[20:23]:
            await mine[0].watch(uri)
        with pytest.raises(BoundReached):
            await mine[0].watch(uris[23])
        await one.link.do("DEL", f"{{mcpkit}}:session:{mine[0].id}")
        await one.link.do("ZADD", "{mcpkit}:sessions", "1", mine[0].id)
        await other.link.beat()
        again = await other.store.create(NEWEST_HANDSHAKE, ALICE, "alice")
        for uri in uris[:4]:
            await again.watch(uri)
        for session in other.store.open_sessions():
            await other.store.end(session)
        await one.link.do("ZREMRANGEBYSCORE", "{mcpkit}:sessions", "-inf", "+inf")
        for _ in range(3):
            await one.link.beat()
        assert not await one.link.do("HGETALL", "{mcpkit}:held")


async def test_who_calls_is_not_written_down(redis: RedisServer) -> None:
    async with replica(redis) as one:
        await one.store.create(NEWEST_HANDSHAKE, None, "203.0.113.77")
        for name in ("callers", "held"):
            assert b"203.0.113.77" not in b"".join(await one.link.do("HGETALL", f"{{mcpkit}}:{name}"))


async def test_what_was_watched_while_redis_was_away_is_counted_then(redis: RedisServer) -> None:
    uris = [f"notes://{number}" + "x" * 1000 for number in range(2)]
    async with replica(redis, Bounds(share=100, watched_bytes=size_of(uris[0]))) as one:
        session = await one.store.create(NEWEST_HANDSHAKE, ALICE, "alice")
        one.link.away = True
        for uri in uris:
            await session.watch(uri)
        with pytest.raises(StoreAway):
            await session.keep()
        one.link.away = False
        await session.keep()
        assert session.subscriptions == frozenset()
        await session.watch(uris[0])
        await session.keep()
        assert session.subscriptions == {uris[0]}


async def test_what_was_posted_goes_to_the_replica_that_has_the_stream(two: Two) -> None:
    """HTTP+SSE: in order, with who posted it."""
    taken: asyncio.Queue[tuple[Session, Posted]] = asyncio.Queue()

    async def take(session: Session, posted: Posted) -> None:
        await taken.put((session, posted))

    class Nowhere:
        async def put(self, data: bytes) -> None: ...
        def offer(self, data: bytes) -> None: ...
        def close(self) -> None: ...

    two[0].store.take_posts(take)
    home = await two[0].store.create(NEWEST_HANDSHAKE, ALICE)
    home.outbox = Nowhere()
    await home.keep()
    other = await two[1].store.get(home.id, ALICE)
    assert other is not None
    assert other.streamed
    posted = [Posted({"a": "b"}, ALICE, b'{"n":%d}\n' % n) for n in range(3)]
    for one in posted:
        assert await two[1].store.hand_over(other, one)
    async with asyncio.timeout(10):
        assert [await taken.get() for _ in posted] == [(home, one) for one in posted]


async def test_nothing_can_be_handed_to_a_replica_that_is_gone(redis: RedisServer) -> None:
    class Nowhere:
        async def put(self, data: bytes) -> None: ...
        def offer(self, data: bytes) -> None: ...
        def close(self) -> None: ...

    async with replica(redis) as stays:
        async with replica(redis) as goes:
            home = await goes.store.create(NEWEST_HANDSHAKE)
            home.outbox = Nowhere()
            await home.keep()
        other = await stays.store.get(home.id)
        assert other is not None
        assert not await stays.store.hand_over(other, Posted({}, None, b"{}"))


async def test_what_waits_for_a_replica_is_bounded_by_bytes(
    two: Two, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP+SSE: beyond the bound nothing is lost, the client is told; once it was taken there is room again."""
    monkeypatch.setattr(redis_session, "MOST_INBOX_BYTES", 10_000)
    taken: list[bytes] = []
    gate = asyncio.Event()

    async def take(session: Session, posted: Posted) -> None:
        await gate.wait()
        taken.append(posted.body)

    class Nowhere:
        async def put(self, data: bytes) -> None: ...
        def offer(self, data: bytes) -> None: ...
        def close(self) -> None: ...

    two[0].store.take_posts(take)
    home = await two[0].store.create(NEWEST_HANDSHAKE)
    home.outbox = Nowhere()
    await home.keep()
    other = await two[1].store.get(home.id)
    assert other is not None
    given = [b"%d" % n * 3_000 for n in range(9)]
    for body in given[:3]:
        assert await two[1].store.hand_over(other, Posted({}, None, body))
    with pytest.raises(StoreAway, match="Too much waits for the replica"):
        await two[1].store.hand_over(other, Posted({}, None, b"x" * 3_000))
    assert not two[1].link.away
    gate.set()
    await until(lambda: taken == given[:3])
    await two[0].link.beat()
    for body in given[3:5]:
        assert await two[1].store.hand_over(other, Posted({}, None, body))
    await until(lambda: taken == given[:5])
    names = [f"{{mcpkit}}:{name}:{two[0].link.id}" for name in ("inbox", "inboxed")]
    assert int(redis.ask("PTTL", names[1])[1:]) > 0
    await two[0].link.run(redis_scripts.LEAVE_ALL, two[0].link.id)
    assert redis.ask("EXISTS", *names) == ":0"


async def test_what_a_session_missed_is_remembered(two: Two, redis: RedisServer) -> None:
    one, _ = await both(two)
    assert await two[0].store.missed(one) == []
    reader = one.mailbox.follow(GENERAL)
    await reader.begin()
    reader.close()
    two[1].feed.publish(Notice.updated("a:1"))
    await until(lambda: redis.ask("EXISTS", "{mcpkit}:feed") == ":1")
    missed = await two[0].store.missed(one)
    assert [notice.key for notice in missed] == ["a:1"]
    assert missed[0].place


async def test_a_session_at_hand_is_let_go_when_nothing_happens_in_it(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for it finds it again; one with a call in flight stays."""
    monkeypatch.setattr(redis_store, "AT_HAND_SECONDS", 0.0)
    monkeypatch.setattr(redis_store, "STAY_SECONDS", 0.0)
    idle, _ = await both(two)
    busy, _ = await both(two)
    busy.peer.begin(1, Waiting())
    await two[0].link.beat()
    assert list(two[0].store.open_sessions()) == [busy]
    assert await two[0].store.get(idle.id) is not None
    assert two[0].store.count == 2


async def test_while_redis_is_away_nothing_is_said_of_any_session(two: Two) -> None:
    one, _ = await both(two)
    two[0].link.lost(TimeoutError())
    for step in (two[0].store.get(one.id), two[0].store.create(NEWEST_HANDSHAKE), two[0].store.end(one)):
        with pytest.raises(StoreAway):
            await step
    assert two[0].store.away
    await two[0].link.beat()
    assert await two[1].store.get(one.id) is None  # what was to end has ended


async def test_what_a_session_lived_is_told_where_it_is_ended(two: Two) -> None:
    """In seconds, once, whichever replica opened it."""
    told: list[float] = []
    here, there = await both(two)
    for place in two:
        place.store.lived = told.append
    await two[1].store.end(there)
    await two[0].store.end(here)
    assert len(told) == 1
    assert 0 <= told[0] < 60

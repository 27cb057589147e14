"""What Redis does in one step leaves nothing behind that would grow."""

from __future__ import annotations

import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.sessions.mailbox import Bounds
from tests.fixtures.redis_server import RedisServer
from tests.sessions.conftest import replica

pytestmark = pytest.mark.redis


async def test_ended_streams_are_forgotten_with_their_last_message(redis: RedisServer) -> None:
    async with replica(redis, Bounds(events=5)) as one:
        session = await one.store.create(NEWEST_HANDSHAKE)
        for n in range(50):
            stream = session.mailbox.open(n)
            await session.mailbox.append(stream, b"a")
            await session.mailbox.append(stream, b"b", last=True)
        assert redis.ask("XLEN", f"{{mcpkit}}:box:{session.id}") == ":5"
        assert int(redis.ask("HLEN", f"{{mcpkit}}:meta:{session.id}")[1:]) <= 2 + 3


async def test_an_ended_session_leaves_nothing(redis: RedisServer) -> None:
    async with replica(redis) as one:
        session = await one.store.create(NEWEST_HANDSHAKE)
        await session.mailbox.append(session.mailbox.open(1), b"a")
        await one.store.end(session)
        names = [f"{{mcpkit}}:{kind}:{session.id}" for kind in ("session", "meta", "box")]
        assert redis.ask("EXISTS", *names) == ":0"
        assert redis.ask("ZCARD", "{mcpkit}:sessions") == ":0"


async def test_everything_of_a_session_expires(redis: RedisServer) -> None:
    """92 of 100 clients never end their session."""
    async with replica(redis) as one:
        session = await one.store.create(NEWEST_HANDSHAKE)
        await session.mailbox.append("0", b"a")
        for kind in ("session", "meta", "box"):
            assert int(redis.ask("PTTL", f"{{mcpkit}}:{kind}:{session.id}")[1:]) > 0, kind


async def test_the_general_stream_is_one_redis_stream_entry_per_event(redis: RedisServer) -> None:
    """The ids are the SSE event ids."""
    async with replica(redis) as one:
        session = await one.store.create(NEWEST_HANDSHAKE)
        id = await session.mailbox.append("0", b"a")
        assert redis.ask("XDEL", f"{{mcpkit}}:box:{session.id}", id) == ":1"

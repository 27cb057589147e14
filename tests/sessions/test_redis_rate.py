"""One bucket for a caller, whichever replica the requests come to."""

from __future__ import annotations

import asyncio

import pytest

from mcpkit.sessions.redis_rate import RedisBuckets
from mcpkit.sessions.redis_replica import Replica
from mcpkit.sessions.store import StoreAway
from tests.fixtures.redis_server import RedisServer
from tests.sessions.conftest import until

pytestmark = pytest.mark.redis


async def test_all_replicas_draw_from_one_bucket(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    """AVAIL-03; a thousand seconds for a token, so that none comes while the test runs."""
    here, there = (RedisBuckets(replica.link, 0.001, 3) for replica in two)
    taken = await asyncio.gather(*(place.take("a") for place in (here, there) * 3))
    assert sorted(taken)[:3] == [0, 0, 0]
    assert all(0 < wait <= 1000 for wait in sorted(taken)[3:])
    assert await there.take("b") == 0


async def test_a_bucket_fills_again_and_is_then_forgotten(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    buckets = RedisBuckets(two[0].link, 1000, 1)
    async with asyncio.timeout(10):
        for _ in range(3):
            while await buckets.take("a"):
                pass
    await until(lambda: redis.ask("KEYS", "{mcpkit}:rate:*") == "*0")


async def test_a_caller_is_not_written_down(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    await RedisBuckets(two[0].link, 0.001, 3).take("192.0.2.7")
    assert redis.ask("KEYS", "{mcpkit}:rate:*") == "*1"
    assert redis.ask("KEYS", "*192.0.2.7*") == "*0"


async def test_without_redis_it_can_not_say(two: tuple[Replica, Replica]) -> None:
    two[0].link.away = True
    with pytest.raises(StoreAway):
        await RedisBuckets(two[0].link, 1, 3).take("a")

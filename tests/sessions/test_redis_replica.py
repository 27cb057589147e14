"""A replica takes part from beginning to end, whether or not Redis is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcpkit.protocol.changes import LocalChanges
from mcpkit.protocol.request_state import StateSealer
from mcpkit.sessions.redis_replica import Replica
from tests.fixtures.redis_server import RedisServer, redis_server
from tests.sessions.conftest import until

pytestmark = pytest.mark.redis
BOUND = {"principal": None, "method": "m", "salient": None}


async def test_all_replicas_seal_with_one_key(redis: RedisServer) -> None:
    """What was sealed before the key was known still opens; a key that was given is not replaced."""
    one, other, given = StateSealer(), StateSealer(), StateSealer(b"k" * 32)
    early, own = one.seal({"n": 1}, **BOUND), given.seal({"n": 2}, **BOUND)  # type: ignore[arg-type]
    first, second, third = Replica(redis.url), Replica(redis.url), Replica(redis.url)
    changes = LocalChanges()
    async with (
        first.running(changes, one.adopt),
        second.running(changes, other.adopt),
        third.running(changes, given.adopt),
    ):
        sealed = one.seal({"n": 3}, **BOUND)  # type: ignore[arg-type]
        assert other.open(sealed, **BOUND) == {"n": 3}  # type: ignore[arg-type]
        assert one.open(early, **BOUND) == {"n": 1}  # type: ignore[arg-type]
        assert given.open(own, **BOUND) == {"n": 2}  # type: ignore[arg-type]
        assert given.seal({"n": 2}, **BOUND)[:10] == own[:10]  # type: ignore[arg-type]


async def test_a_redis_that_comes_later_is_waited_for_beside(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        redis.kill()
        replica, adopted = Replica(redis.url), asyncio.Event()
        async with replica.running(LocalChanges(), lambda key: adopted.set()):
            assert replica.away
            await asyncio.to_thread(redis.start)
            await until(lambda: not replica.away)
            async with asyncio.timeout(10):
                await adopted.wait()


async def test_a_replica_that_ends_leaves_nothing_of_its_own_behind(redis: RedisServer) -> None:
    before = asyncio.all_tasks()
    replica = Replica(redis.url)
    async with replica.running(LocalChanges()):
        assert redis.ask("EXISTS", f"{{mcpkit}}:replica:{replica.link.id}") == ":1"
    assert redis.ask("EXISTS", f"{{mcpkit}}:replica:{replica.link.id}", f"{{mcpkit}}:inbox:{replica.link.id}") == ":0"
    assert asyncio.all_tasks() == before

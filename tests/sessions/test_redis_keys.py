"""API keys that all replicas know: how soon, what of them is kept, and what holds while Redis is away."""

from __future__ import annotations

import orjson
import pytest

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.keys import ApiKeys
from mcpkit.sessions import redis_keys
from mcpkit.sessions.redis_keys import FRESH_SECONDS, STALE_SECONDS, RedisKeys, keys_at
from mcpkit.sessions.redis_replica import Replica
from mcpkit.sessions.store import StoreAway
from tests.fixtures.redis_server import RedisServer

pytestmark = pytest.mark.redis


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(redis_keys, "monotonic", clock)
    return clock


async def test_what_one_replica_adds_or_revokes_holds_for_all_after_a_second(
    two: tuple[Replica, Replica], clock: Clock
) -> None:
    here, there = (ApiKeys(RedisKeys(replica.link)) for replica in two)
    key = await here.add("ci", scopes=["read"])
    for place in (here, there):
        assert (await place.verify(key)).scopes == {"read"}
    new = await there.rotate("ci")
    with pytest.raises(InvalidToken):
        await there.verify(key)
    assert (await here.verify(key)).client_id == "ci"
    clock.now += FRESH_SECONDS
    with pytest.raises(InvalidToken):
        await here.verify(key)
    assert (await here.verify(new)).client_id == "ci"
    await there.revoke("ci")
    clock.now += FRESH_SECONDS
    with pytest.raises(InvalidToken):
        await here.verify(new)
    assert await here.list() == []


async def test_while_redis_is_away_what_was_known_holds_for_a_minute(
    two: tuple[Replica, Replica], clock: Clock
) -> None:
    here, stranger = (ApiKeys(RedisKeys(replica.link)) for replica in two)
    key = await here.add("ci")
    await here.verify(key)
    for replica in two:
        replica.link.away = True
    with pytest.raises(VerifierUnavailable):
        await stranger.verify(key)
    clock.now += STALE_SECONDS - 1
    assert (await here.verify(key)).client_id == "ci"
    with pytest.raises(StoreAway):
        await here.rotate("ci")
    clock.now += FRESH_SECONDS
    with pytest.raises(VerifierUnavailable):
        await here.verify(key)
    two[0].link.away = False
    assert (await here.verify(key)).client_id == "ci"


async def test_a_program_that_serves_nobody_leaves_no_trace(redis: RedisServer) -> None:
    async with keys_at(redis.url) as keys:
        await ApiKeys(keys).add("ci")
    assert redis.ask("EXISTS", "{mcpkit}:replicas") == ":0"


async def test_a_key_of_a_later_version_is_refused_and_the_others_are_not(
    two: tuple[Replica, Replica], clock: Clock, redis: RedisServer
) -> None:
    """While replicas are brought up to date: what this one can't read of a key may be a restriction."""
    here, there = (ApiKeys(RedisKeys(replica.link)) for replica in two)
    key, later = await here.add("ci"), await here.add("later")
    id = later.split("_")[1]
    record = orjson.loads(await two[0].link.do("HGET", "{mcpkit}:keys", id))
    for damaged in (orjson.dumps({**record, "only_from": ["10.0.0.0/8"]}), b"rubbish", b"{}", b"[]"):
        await two[0].link.do("HSET", "{mcpkit}:keys", id, damaged)
        await two[0].link.do("INCR", "{mcpkit}:keys:version")
        clock.now += FRESH_SECONDS
        assert (await there.verify(key)).client_id == "ci"
        with pytest.raises(InvalidToken):
            await there.verify(later)

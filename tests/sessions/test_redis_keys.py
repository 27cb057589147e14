"""API keys that all replicas know: how soon, what of them is kept, and what holds while Redis is away."""

from __future__ import annotations

import orjson
import pytest

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.keys import ApiKeys
from mcpkit.sessions import redis_keys
from mcpkit.sessions.redis_keys import FRESH_SECONDS, STALE_SECONDS, WHOLLY_SECONDS, RedisKeys, keys_at
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


async def test_a_new_state_is_never_taken_for_an_old_one(
    two: tuple[Replica, Replica], clock: Clock, redis: RedisServer
) -> None:
    """Redis was emptied, and as many keys were made anew as there had been before."""
    here, there = (ApiKeys(RedisKeys(replica.link)) for replica in two)
    old = [await here.add(name) for name in ("one", "two")]
    for key in old:
        await there.verify(key)
    assert redis.ask("FLUSHALL") == "+OK"
    clock.now += FRESH_SECONDS
    new = [await here.add(name) for name in ("one", "two")]
    for place in (here, there):
        for key in old:
            with pytest.raises(InvalidToken):
                await place.verify(key)
        assert [(await place.verify(key)).client_id for key in new] == ["one", "two"]


async def test_a_redis_that_was_set_back_is_believed(
    two: tuple[Replica, Replica], clock: Clock, redis: RedisServer
) -> None:
    """An older dump, or a replica that lagged behind and was promoted: what it says is what there is."""
    here, there = (ApiKeys(RedisKeys(replica.link)) for replica in two)
    kept = await here.add("kept")
    dumps = {name: await two[0].link.do("DUMP", f"{{mcpkit}}:{name}") for name in ("keys", "keys:version")}
    lost = await here.add("lost")
    for key in (kept, lost):
        await there.verify(key)
    for name, dump in dumps.items():
        await two[0].link.do("RESTORE", f"{{mcpkit}}:{name}", 0, dump, "REPLACE")
    clock.now += FRESH_SECONDS
    again = await here.add("again")
    for key in (kept, again):
        await there.verify(key)
    with pytest.raises(InvalidToken):
        await there.verify(lost)


@pytest.mark.parametrize("step", ["DEL {mcpkit}:keys", "DEL {mcpkit}:keys:version", "HDEL {mcpkit}:keys <id>"])
async def test_what_is_deleted_by_hand_is_gone_a_second_later(
    two: tuple[Replica, Replica], clock: Clock, step: str
) -> None:
    keys = ApiKeys(RedisKeys(two[0].link))
    key = await keys.add("ci")
    id = key.split("_")[1]
    await keys.verify(key)
    await two[1].link.do(*step.replace("<id>", id).split())
    if "version" in step:
        await two[1].link.do("DEL", "{mcpkit}:keys")
    clock.now += FRESH_SECONDS
    with pytest.raises(InvalidToken):
        await keys.verify(key)


async def test_what_is_replaced_by_hand_is_found_out(two: tuple[Replica, Replica], clock: Clock) -> None:
    keys = ApiKeys(RedisKeys(two[0].link))
    key = await keys.add("ci")
    await keys.verify(key)
    id = key.split("_")[1]
    record = orjson.loads(await two[1].link.do("HGET", "{mcpkit}:keys", id))
    await two[1].link.do("HSET", "{mcpkit}:keys", id, orjson.dumps({**record, "expires": 1.0}))
    clock.now += WHOLLY_SECONDS
    with pytest.raises(InvalidToken):
        await keys.verify(key)


async def test_an_older_replica_counts_on(two: tuple[Replica, Replica], clock: Clock) -> None:
    """Versions of mcpkit before used a counter: while replicas are brought up to date both kinds write."""
    keys = ApiKeys(RedisKeys(two[0].link))
    key = await keys.add("ci")
    await keys.verify(key)
    other = await ApiKeys(RedisKeys(two[1].link)).add("other")
    record = orjson.loads(await two[1].link.do("HGET", "{mcpkit}:keys", other.split("_")[1]))
    await two[1].link.do("HSET", "{mcpkit}:keys", record["id"], orjson.dumps({**record, "expires": 1.0}))
    await two[1].link.do("INCR", "{mcpkit}:keys:version")
    clock.now += FRESH_SECONDS
    with pytest.raises(InvalidToken):
        await keys.verify(other)

"""Results of tools that all replicas give again."""

from __future__ import annotations

import pytest

from mcpkit.sessions import redis_results
from mcpkit.sessions.redis_replica import Replica
from tests.fixtures.redis_server import RedisServer

pytestmark = pytest.mark.redis


async def test_what_one_replica_keeps_another_gives(two: tuple[Replica, Replica]) -> None:
    here, there = (replica.results for replica in two)
    assert await there.get("add", "k") is None
    await here.put("add", "k", b"{}", 60)
    assert await there.get("add", "k") == b"{}"
    assert await there.get("other", "k") is None
    await there.put("add", "k", b"[]", 60)
    assert await here.get("add", "k") == b"[]"


async def test_it_ends_with_its_time_and_leaves_nothing(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    here, there = (replica.results for replica in two)
    await here.put("add", "short", b"1", 0.001)
    await here.put("add", "long", b"2", 60)
    assert await there.get("add", "short") is None
    assert await there.get("add", "long") == b"2"
    await here.put("add", "longer", b"3", 61)
    assert redis.ask("HLEN", "{mcpkit}:results:add") == ":2"
    assert redis.ask("ZCARD", "{mcpkit}:results-end:add") == ":2"
    assert redis.ask("TTL", "{mcpkit}:results:add") != ":-1"


async def test_only_so_much_is_kept_of_one_tool(
    two: tuple[Replica, Replica], redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AVAIL-04: what would end first makes room."""
    monkeypatch.setattr(redis_results, "MOST_KEPT", 2)
    results = two[0].results
    for number, key in enumerate("abcc"):
        await results.put("add", key, key.encode(), 60 + number)
    assert [await results.get("add", key) for key in "abc"] == [None, b"b", b"c"]
    assert redis.ask("HLEN", "{mcpkit}:results:add") == ":2"


async def test_without_redis_there_is_nothing_and_nothing_fails(two: tuple[Replica, Replica]) -> None:
    results = two[0].results
    await results.put("add", "k", b"{}", 60)
    two[0].link.away = True
    assert await results.get("add", "k") is None
    await results.put("add", "k", b"{}", 60)

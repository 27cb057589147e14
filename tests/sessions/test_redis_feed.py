"""Notices of one replica reach the listeners of all, once."""

from __future__ import annotations

import threading

import pytest

from mcpkit.protocol.changes import TOOLS_CHANGED, LocalChanges, Notice
from mcpkit.sessions.redis_replica import Replica
from tests.fixtures.redis_server import RedisServer
from tests.sessions.conftest import until

pytestmark = pytest.mark.redis


async def test_a_notice_is_heard_once_everywhere(redis: RedisServer) -> None:
    """At once where it was published, from the feed elsewhere; the feed itself tells all, each with its place."""
    here, there = LocalChanges(), LocalChanges()
    one, other = Replica(redis.url), Replica(redis.url)
    heard: dict[str, list[Notice]] = {"here": [], "there": [], "fed": []}
    here.subscribe(heard["here"].append)
    there.subscribe(heard["there"].append)
    one.feed.subscribe(heard["fed"].append)
    async with one.running(here), other.running(there):
        here.publish(Notice(TOOLS_CHANGED))
        assert len(heard["here"]) == 1
        threading.Thread(target=here.publish, args=(Notice.updated("a:1"),)).start()
        await until(lambda: len(heard["there"]) == 2 and len(heard["fed"]) == 2)
        other.feed.publish(Notice("custom", "key", {"deep": [1, None]}))
        await until(lambda: len(heard["here"]) == 3)
    assert heard["there"][0].method == TOOLS_CHANGED
    assert len(heard["there"]) == 2
    assert heard["here"][2].params == {"deep": [1, None]}
    assert all(notice.place for notice in heard["fed"])


async def test_what_is_published_while_redis_is_away_is_told_when_it_is_back(redis: RedisServer) -> None:
    """Equal notices once."""
    here, there = LocalChanges(), LocalChanges()
    one, other = Replica(redis.url), Replica(redis.url)
    heard: list[Notice] = []
    there.subscribe(heard.append)
    async with one.running(here), other.running(there):
        one.link.lost(TimeoutError())
        for _ in range(3):
            here.publish(Notice.updated("a:1"))
        here.publish(Notice.updated("a:2"))
        await until(lambda: len(heard) == 2)
    assert [notice.key for notice in heard] == ["a:1", "a:2"]

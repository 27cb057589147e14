"""The line to Redis: bounded steps, an honest state, and a way back."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from redis.exceptions import ClusterDownError, MovedError

from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.store import StoreAway
from tests.fixtures.redis_server import RedisServer, redis_server
from tests.sessions.conftest import until

pytestmark = pytest.mark.redis


async def test_a_step_that_hangs_is_given_up_and_the_next_fails_at_once(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        link = Link(redis.url, step_seconds=0.2)
        link.begin()
        await link.beat()
        assert await link.do("SET", "a", "1")
        redis.send(signal.SIGSTOP)
        async with asyncio.timeout(5):
            with pytest.raises(StoreAway):
                await link.do("GET", "a")
            assert link.away
            for _ in range(1000):
                with pytest.raises(StoreAway):
                    await link.do("GET", "a")
        redis.send(signal.SIGCONT)
        back: list[bool] = []
        link.back.append(lambda: back.append(True))
        beating = asyncio.ensure_future(link.keep_beating())
        await until(lambda: not link.away)
        assert back
        assert not link.settled
        assert await link.do("GET", "a") == b"1"
        beating.cancel()
        await link.close()


async def test_redis_may_be_gone_and_come_back_anew(tmp_path: Path) -> None:
    """Scripts are known again, owed steps are done."""
    with redis_server(tmp_path) as redis:
        link = Link(redis.url)
        link.begin()
        beating = asyncio.ensure_future(link.keep_beating())
        await until(lambda: redis.ask("EXISTS", f"{{mcpkit}}:replica:{link.id}") == ":1")
        redis.kill()
        with pytest.raises(StoreAway):
            await link.do("GET", "a")
        link.owe("redis.call('SET', 'owed', ARGV[1]) return 1", "x")
        await asyncio.to_thread(redis.start)
        await until(lambda: not link.away)
        await until(lambda: redis.ask("GET", "owed") == "$1")
        beating.cancel()
        await link.close()
        assert redis.ask("EXISTS", f"{{mcpkit}}:replica:{link.id}") == ":0"


async def test_a_fault_of_ours_is_no_outage(redis: RedisServer) -> None:
    link = Link(redis.url)
    link.begin()
    with pytest.raises(StoreAway):
        await link.do("NONSENSE")
    assert not link.away
    await link.close()


async def test_a_redis_that_takes_no_writes_counts_as_away(redis: RedisServer, tmp_path: Path) -> None:
    """A primary that has become a replica."""
    with redis_server(tmp_path) as second:
        second.follow(redis.port)
        link = Link(second.url)
        link.begin()
        with pytest.raises(StoreAway):
            await link.beat()
        assert link.away
        await link.close()


def test_a_url_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="URL"):
        Link("nonsense")


@pytest.mark.parametrize("said", [MovedError("7 127.0.0.1:7000"), ClusterDownError("CLUSTERDOWN Hash slot not served")])
async def test_a_cluster_is_named_as_what_is_wrong(
    redis: RedisServer, caplog: pytest.LogCaptureFixture, said: Exception
) -> None:
    link = Link(redis.url)

    async def step() -> None:
        raise said

    with pytest.raises(StoreAway):
        await link._bounded(step())
    assert "a Cluster is not supported: name one Redis" in caplog.text
    await link.close()


async def test_a_heart_goes_on_whatever_happens(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A replica that beats no more counts as dead, though it serves: nothing sent to it would arrive."""
    link = Link(redis.url)
    link.begin()
    beats = 0

    async def fail() -> None:
        nonlocal beats
        beats += 1
        link.doubt()
        raise AttributeError("a fault of somebody's")

    link.beats.append(fail)
    beating = asyncio.ensure_future(link.keep_beating())
    await until(lambda: beats > 2)
    assert "a beat failed" in caplog.text
    beating.cancel()
    await link.close()


async def test_a_fault_of_the_client_library_is_an_outage_and_no_more(redis: RedisServer) -> None:
    link = Link(redis.url)

    async def step() -> None:
        raise AttributeError("'NoneType' object has no attribute 'read'")

    with pytest.raises(StoreAway):
        await link._bounded(step())
    assert link.away
    link.begin()
    await link.beat()
    assert not link.away
    await link.close()

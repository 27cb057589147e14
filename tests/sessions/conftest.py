"""A Redis for the tests of this folder, and links to it as several replicas have them.

What must never stand here: an expectation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from mcpkit.protocol.changes import LocalChanges
from mcpkit.sessions.mailbox import Bounds
from mcpkit.sessions.redis_replica import Replica
from tests.fixtures.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def one_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(one_redis: RedisServer) -> RedisServer:
    """A Redis that is empty."""
    assert one_redis.ask("FLUSHALL") == "+OK"
    return one_redis


@asynccontextmanager
async def replica(redis: RedisServer, bounds: Bounds | None = None, most: int = 100) -> AsyncIterator[Replica]:
    """A replica that takes part."""
    made = Replica(redis.url, most=most, idle_seconds=60, bounds=bounds or Bounds())
    async with made.running(LocalChanges()):
        yield made


@pytest.fixture
async def two(redis: RedisServer) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas over one Redis."""
    async with replica(redis) as one, replica(redis) as other:
        yield one, other


async def until(condition: Callable[[], bool]) -> None:
    """Wait, not for ever, until a function says True."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.01)

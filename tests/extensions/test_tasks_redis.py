"""The store of tasks in Redis keeps what every store promises, for all replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mcpkit.extensions.tasks_redis import RedisTasks
from mcpkit.extensions.tasks_state import CANCELLED, COMPLETED, FAILED, WORKING, Task
from mcpkit.limits import BoundReached
from mcpkit.protocol.changes import LocalChanges
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.redis_replica import Replica
from tests.fixtures.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def two(redis: RedisServer) -> AsyncIterator[tuple[RedisTasks, RedisTasks]]:
    one, other = Replica(redis.url), Replica(redis.url)
    async with one.running(LocalChanges()), other.running(LocalChanges()):
        yield RedisTasks(one.link), RedisTasks(other.link)


def task(id: str, owner: str | None = "alice", ttl: float = 60) -> Task:
    return Task(id, "core", owner, created=1000, updated=1000, ttl=ttl, poll_ms=500)


async def test_what_one_adds_every_other_finds_and_changes(two: tuple[RedisTasks, RedisTasks]) -> None:
    """TASKE-05."""
    one, other = two
    assert await one.add(task("a"), limit=2)
    assert await other.get("a") == task("a")
    changed = await other.change("a", lambda a: a.telling("half", 1001))
    assert changed is not None
    assert [each.message for each in changed] == [None, "half"]
    assert await one.get("a") == changed[1]
    assert (await one.get("b"), await one.change("b", lambda b: b)) == (None, None)


async def test_an_owner_has_a_limit_over_all_replicas(two: tuple[RedisTasks, RedisTasks]) -> None:
    """TKS-04."""
    one, other = two
    assert await one.add(task("a"), limit=1)
    assert not await other.add(task("b"), limit=1)
    assert await other.add(task("c", owner=None), limit=1)
    await other.change("a", lambda a: a.ended(CANCELLED, 1001))
    assert await other.add(task("b"), limit=1)


async def test_no_change_undoes_another(two: tuple[RedisTasks, RedisTasks]) -> None:
    one = two[0]
    await one.add(task("a"), limit=1)
    steps = [store.change("a", lambda a: a.asking("m", {}, 1001)[1]) for store in two for _ in range(10)]
    await asyncio.gather(*steps)
    found = await one.get("a")
    assert found is not None
    assert (found.asked, len(found.questions)) == (20, 20)


async def test_pages_in_the_order_of_making(two: tuple[RedisTasks, RedisTasks]) -> None:
    one, other = two
    for number, store in enumerate([one, other, one, other]):
        await store.add(task(str(number)), limit=10)
    await one.add(task("x", owner="bob"), limit=10)
    first = await other.page(("core", "alice"), None, 3)
    rest = await one.page(("core", "alice"), "2", 3)
    assert [each.id for each in (*first, *rest)] == ["0", "1", "2", "3"]
    with pytest.raises(KeyError):
        await one.page(("core", "alice"), "x", 3)


async def test_after_its_ttl_a_task_has_never_been(two: tuple[RedisTasks, RedisTasks]) -> None:
    """TASKD-12, TASKE-11."""
    one, _ = two
    await one.add(task("a", ttl=0.05), limit=1)
    async with asyncio.timeout(10):
        while await one.get("a") is not None:  # noqa: ASYNC110 - Redis's clock
            await asyncio.sleep(0.01)
    assert await one.add(task("b"), limit=1)
    assert [each.id for each in await one.page(("core", "alice"), None, 9)] == ["b"]


async def test_a_task_whose_replica_is_gone_has_failed(
    redis: RedisServer, two: tuple[RedisTasks, RedisTasks], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not while a missing lease may be Redis's fault."""
    one, _ = two
    gone = Replica(redis.url)
    async with gone.running(LocalChanges()):
        await RedisTasks(gone.link).add(task("a"), limit=1)
        assert getattr(await one.get("a"), "status", "") == WORKING
    monkeypatch.setattr(Link, "settled", False)
    assert getattr(await one.get("a"), "status", "") == WORKING
    monkeypatch.setattr(Link, "settled", True)
    assert getattr(await one.get("a"), "status", "") == FAILED


async def test_one_caller_s_tasks_leave_room_for_others(redis: RedisServer) -> None:
    """Counted over all replicas, ended ones too."""
    first, second = Replica(redis.url), Replica(redis.url)
    async with first.running(LocalChanges()), second.running(LocalChanges()):
        one, other = RedisTasks(first.link, 20), RedisTasks(second.link, 20)
        for store in (one, other):
            store.limit_callers(25)
        for number in range(16):
            store = (one, other)[number % 2]
            assert await store.add(task(str(number), owner=None), limit=100, caller="203.0.113.1")
            await store.change(str(number), lambda task: task.ended(COMPLETED, task.updated, result={}))
        for store in (one, other):
            with pytest.raises(BoundReached) as refused:
                await store.add(task("more", owner=None), limit=100, caller="203.0.113.1")
            assert refused.value.of_caller
        for number in range(4):
            assert await other.add(task(f"other-{number}", owner=None), limit=100, caller=f"198.51.100.{number}")
        with pytest.raises(BoundReached) as refused:
            await one.add(task("beyond", owner=None), limit=100, caller="198.51.100.9")
        assert not refused.value.of_caller


async def test_unfinished_tasks_are_counted_by_address_where_nobody_authenticates(
    two: tuple[RedisTasks, RedisTasks],
) -> None:
    one, other = two
    assert await one.add(task("a", owner=None), limit=1, caller="203.0.113.1")
    assert not await other.add(task("b", owner=None), limit=1, caller="203.0.113.1")
    assert await other.add(task("c", owner=None), limit=1, caller="203.0.113.2")
    await other.change("a", lambda task: task.ended(COMPLETED, task.updated, result={}))
    assert await other.add(task("b", owner=None), limit=1, caller="203.0.113.1")

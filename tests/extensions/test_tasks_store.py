"""The store of tasks: what every store promises, shown on the one in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcpkit.extensions.tasks_state import CANCELLED, COMPLETED, WORKING, Task
from mcpkit.extensions.tasks_store import MemoryTasks, TaskStore
from mcpkit.limits import BoundReached


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> TaskStore:
    return MemoryTasks(capacity=5, clock=clock)


def task(id: str, owner: str | None = "alice", face: str = "core") -> Task:
    return Task(id, face, owner, created=1000, updated=1000, ttl=60, poll_ms=500)


async def test_what_was_added_is_found_at_once(store: TaskStore) -> None:
    """TASKE-05."""
    assert await store.add(task("a"), limit=2)
    found = await store.get("a")
    assert found is not None
    assert found.status == WORKING
    assert await store.get("b") is None


async def test_an_owner_has_a_limit_of_unfinished_tasks(store: TaskStore) -> None:
    """TKS-04: ended ones don't count, others' neither."""
    assert await store.add(task("a"), limit=1)
    assert not await store.add(task("b"), limit=1)
    assert await store.add(task("c", owner="bob"), limit=1)
    await store.change("a", lambda a: a.ended(CANCELLED, 1001))
    assert await store.add(task("b"), limit=1)


async def test_a_full_store_takes_no_more_and_forgets_nobody(store: TaskStore) -> None:
    """TASKE-17: nothing is dropped before its time to make room."""
    for number in range(5):
        assert await store.add(task(str(number)), limit=100)
    with pytest.raises(BoundReached, match="5 tasks"):
        await store.add(task("more"), limit=100)
    assert await store.get("0") is not None


async def test_one_caller_s_tasks_leave_room_for_others(clock: Clock) -> None:
    """Ended ones count until their ttl is over, since they are kept."""
    store = MemoryTasks(64, clock=clock)
    store.limit_callers(25)
    for number in range(16):
        assert await store.add(task(str(number), owner=None), limit=100, caller="203.0.113.1")
        await store.change(str(number), lambda one: one.ended(COMPLETED, clock(), result={}))
    with pytest.raises(BoundReached) as refused:
        await store.add(task("more", owner=None), limit=100, caller="203.0.113.1")
    assert refused.value.of_caller
    assert await store.add(task("other", owner=None), limit=100, caller="203.0.113.2")
    clock.now += 60
    assert await store.add(task("again", owner=None), limit=100, caller="203.0.113.1")


async def test_unfinished_tasks_are_counted_by_address_where_nobody_authenticates(clock: Clock) -> None:
    store = MemoryTasks(clock=clock)
    assert await store.add(task("a", owner=None), limit=1, caller="203.0.113.1")
    assert not await store.add(task("b", owner=None), limit=1, caller="203.0.113.1")
    assert await store.add(task("c", owner=None), limit=1, caller="203.0.113.2")


async def test_results_are_bounded_by_bytes(clock: Clock) -> None:
    store = MemoryTasks(most_bytes=40_000, clock=clock)
    store.limit_callers(25)
    for number, caller in enumerate(("one", "one", "two")):
        await store.add(task(str(number), owner=None), limit=9, caller=caller)
    large = {"text": "x" * 8000}
    await store.change("0", lambda one: one.ended(COMPLETED, clock(), result=large))
    with pytest.raises(BoundReached, match="results"):
        await store.change("1", lambda one: one.ended(COMPLETED, clock(), result=large))
    found = await store.get("1")
    assert found is not None
    assert not found.terminal
    await store.change("2", lambda one: one.ended(COMPLETED, clock(), result=large))
    clock.now += 60
    await store.add(task("3", owner=None), limit=9, caller="one")
    await store.change("3", lambda one: one.ended(COMPLETED, clock(), result=large))


async def test_after_its_ttl_a_task_has_never_been(store: TaskStore, clock: Clock) -> None:
    """TASKD-12, TASKE-11: and its room is free again."""
    for number in range(5):
        await store.add(task(str(number)), limit=100)
    clock.now += 60
    assert await store.get("0") is None
    assert await store.change("0", lambda a: a) is None
    assert await store.page(("core", "alice"), None, 10) == []
    assert await store.add(replace(task("more"), created=clock.now), limit=100)


async def test_tasks_leave_in_the_order_of_their_ends(store: TaskStore, clock: Clock) -> None:
    """TASKE-17, TKS-04: a long one that came first keeps no short one, and one that never ended frees its place."""
    assert await store.add(replace(task("long"), ttl=600), limit=2)
    assert await store.add(task("short"), limit=2)
    assert not await store.add(task("more"), limit=2)
    clock.now += 60
    assert await store.add(replace(task("more"), created=clock.now), limit=2)
    assert await store.get("long") is not None
    assert not await store.add(replace(task("again"), created=clock.now), limit=2)


async def test_a_task_that_has_ended_already_counts_for_no_limit(store: TaskStore) -> None:
    """TKS-04."""
    assert await store.add(replace(task("a"), status=CANCELLED), limit=1)
    assert await store.add(task("b"), limit=1)


async def test_a_change_gives_before_and_after(store: TaskStore) -> None:
    await store.add(task("a"), limit=1)
    changed = await store.change("a", lambda a: a.telling("half", 1001))
    assert changed is not None
    before, after = changed
    assert (before.message, after.message) == (None, "half")
    assert await store.get("a") == after


async def test_pages_hold_an_owners_tasks_of_one_kind(store: TaskStore) -> None:
    """TASKD-05, TASKD-13."""
    for id, owner, face in (("a", "alice", "core"), ("b", "bob", "core"), ("c", "alice", "extension")):
        await store.add(task(id, owner, face), limit=9)
    await store.add(task("d"), limit=9)
    mine = ("core", "alice")
    assert [found.id for found in await store.page(mine, None, 9)] == ["a", "d"]
    assert [found.id for found in await store.page(mine, None, 1)] == ["a"]
    assert [found.id for found in await store.page(mine, "a", 9)] == ["d"]
    for foreign in ("b", "c", "nonsense"):
        with pytest.raises(KeyError):
            await store.page(mine, foreign, 9)

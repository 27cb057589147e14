"""Sessions in memory: minted, found, swept, bounded."""

from __future__ import annotations

import tracemalloc

import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from mcpkit.sessions.memory import MemoryStore
from mcpkit.sessions.store import StoreFull


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_ids_are_long_random_and_visible_ascii() -> None:
    """SHL-41, SESS-02: at least 128 bits, nothing but 0x21 to 0x7E."""
    store = MemoryStore()
    ids = {(await store.create(NEWEST_HANDSHAKE)).id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id) >= 22 and all("!" <= char <= "~" for char in id) for id in ids)


async def test_another_principals_session_looks_unknown() -> None:
    """SHL-48: 404, not 403, so there must be nothing to tell them apart by."""
    store = MemoryStore()
    session = await store.create(NEWEST_HANDSHAKE, Principal("alice"))
    assert await store.get(session.id, Principal("alice")) is session
    assert await store.get(session.id, Principal("bob")) is None
    assert await store.get(session.id) is None
    assert await store.get("nonsense") is None


async def test_an_ended_session_is_unknown() -> None:
    """SHL-44."""
    store = MemoryStore()
    session = await store.create(NEWEST_HANDSHAKE)
    await store.end(session)
    await store.end(session)
    assert await store.get(session.id) is None
    assert store.count == 0


async def test_idle_sessions_are_swept_and_used_ones_stay() -> None:
    """SHL-48: most clients never send DELETE."""
    clock = Clock()
    store = MemoryStore(idle_seconds=60, clock=clock)
    idle, used, listened = [await store.create(NEWEST_HANDSHAKE) for _ in range(3)]
    reader = listened.mailbox.follow("0")
    clock.now += 40
    await store.get(used.id)
    clock.now += 40
    assert await store.sweep() == 1
    assert list(store.open_sessions()) == [used, listened]
    assert await store.get(idle.id) is None
    reader.close()
    clock.now += 61
    assert await store.sweep() == 2


async def test_a_full_store_admits_nobody_until_one_has_idled_out() -> None:
    clock = Clock()
    store = MemoryStore(most=2, idle_seconds=60, clock=clock)
    for _ in range(2):
        await store.create(NEWEST_HANDSHAKE)
    with pytest.raises(StoreFull):
        await store.create(NEWEST_HANDSHAKE)
    clock.now += 61
    await store.create(NEWEST_HANDSHAKE)
    assert store.count == 1


async def test_what_sessions_lived_is_told_when_they_end() -> None:
    """However they end, and once."""
    clock, told = Clock(), list[float]()
    store = MemoryStore(idle_seconds=60, clock=clock)
    store.lived = told.append
    ended = await store.create(NEWEST_HANDSHAKE)
    await store.create(NEWEST_HANDSHAKE)
    clock.now += 20
    for _ in range(2):
        await store.end(ended)
    clock.now += 50
    await store.sweep()
    assert told == [20, 70]


async def test_what_waits_is_known() -> None:
    store = MemoryStore()
    session = await store.create(NEWEST_HANDSHAKE)
    assert store.stored == 0
    await session.mailbox.append("0", b"x" * 1000)
    assert store.stored >= 1000
    await store.end(session)
    assert store.stored == 0


class Working:
    """Serves a call that nobody cancels."""

    def cancel(self, reason: str | None) -> None:
        raise AssertionError(reason)


async def test_a_session_at_rest_takes_little() -> None:
    """AVAIL-03: ten thousand that are given up must be a matter of a few MiB, also when each has made a call."""
    store = MemoryStore(2000)
    await store.create(NEWEST_HANDSHAKE)
    tracemalloc.start()
    try:
        for _ in range(1000):
            session = await store.create(NEWEST_HANDSHAKE)
            session.peer.begin(1, Working())
            session.peer.end(1)
        taken = tracemalloc.get_traced_memory()[0] / 1000
    finally:
        tracemalloc.stop()
    assert taken < 600, f"{taken} bytes a session"


@pytest.mark.parametrize("stay", [0, 5])
@pytest.mark.parametrize("way", ["deleted", "given up"])
async def test_sessions_that_have_ended_take_nothing(way: str, stay: int) -> None:
    """AVAIL-03: neither they nor, once it was swept, the room that the store had for them."""
    clock = Clock()
    store = MemoryStore(idle_seconds=60, clock=clock)
    tracemalloc.start()
    try:
        ids = [(await store.create(NEWEST_HANDSHAKE)).id for _ in range(5000)]
        full = tracemalloc.get_traced_memory()[0]
        clock.now += 61
        for id in ids[:stay]:
            await store.get(id)
        while way == "deleted" and len(ids) > stay:
            ended = await store.get(ids.pop())
            assert ended
            await store.end(ended)
        ended = None
        await store.sweep()
        ids.clear()
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert store.count == stay
    assert full > 2_000_000
    assert left < 10_000, f"{left} bytes are left of {full}"

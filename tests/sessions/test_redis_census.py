"""What is kept in Redis in all, counted without holding anybody up."""

from __future__ import annotations

import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.sessions import redis_census
from mcpkit.sessions.delivery import GENERAL
from mcpkit.sessions.redis_census import Census
from mcpkit.sessions.redis_replica import Replica
from mcpkit.sessions.store import StoreAway
from tests.fixtures.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.mark.parametrize("at_once", [1, 2, 3, 500])
async def test_messages_of_all_sessions_are_counted(
    two: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(redis_census, "AT_ONCE", at_once)
    census = Census(two[1].link)
    assert await census.count() == 0
    sessions = [await two[0].store.create(NEWEST_HANDSHAKE) for _ in range(3)]
    for session in sessions[:2]:
        await session.mailbox.append(GENERAL, b"x" * 1000)
    counted = await census.count()
    assert 2000 <= counted <= 2000 + 2 * 1024
    await two[0].store.end(sessions[0])
    assert await census.count() == counted / 2


async def test_what_has_grown_too_old_counts_no_more(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    session = await two[0].store.create(NEWEST_HANDSHAKE)
    await session.mailbox.append(GENERAL, b"x")
    assert redis.ask("DEL", f"{{mcpkit}}:box:{session.id}") == ":1"
    assert await Census(two[1].link).count() == 0


async def test_it_is_counted_with_a_beat_now_and_then(
    two: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await two[0].store.create(NEWEST_HANDSHAKE)
    await session.mailbox.append(GENERAL, b"x" * 1000)
    census = Census(two[1].link)
    await two[1].link.beat()
    counted = census.bytes
    assert counted > 1000
    await session.mailbox.append(GENERAL, b"x" * 1000)
    await two[1].link.beat()
    assert census.bytes == counted
    monkeypatch.setattr(redis_census, "EVERY_SECONDS", 0)
    await two[1].link.beat()
    assert census.bytes > counted
    two[1].link.away = True
    with pytest.raises(StoreAway):
        await census.count()

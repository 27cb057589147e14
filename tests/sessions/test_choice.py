"""The settings choose the store of sessions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mcpkit.sessions.choice import bounds_of, buckets_for, keys_for, replica_for, store_for
from mcpkit.sessions.memory import MemoryStore
from mcpkit.sessions.none import NoSessions
from mcpkit.sessions.redis_keys import RedisKeys
from mcpkit.sessions.redis_rate import RedisBuckets
from mcpkit.sessions.redis_store import RedisStore
from mcpkit.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("settings", "store"),
    [
        (Settings(), MemoryStore),
        (Settings(workers=2), NoSessions),
        (Settings(redis_url="redis://127.0.0.1:1"), RedisStore),
        (Settings(redis_url="redis://127.0.0.1:1", workers=2), RedisStore),
    ],
)
def test_memory_unless_there_is_redis_or_more_than_one_process(settings: Settings, store: type) -> None:
    assert type(store_for(settings, replica_for(settings))) is store


def test_the_bounds_are_the_settings() -> None:
    bounds = bounds_of(Settings(max_stored_events=7, max_stored_bytes=2048, stored_seconds=9))
    assert (bounds.events, bounds.bytes, bounds.seconds) == (7, 2048, 9)


def test_a_url_that_redis_py_can_not_read_is_one_clear_line() -> None:
    with pytest.raises(SettingsError, match="MCP_SERVER_REDIS_URL"):
        replica_for(Settings(redis_url="redis://127.0.0.1:port"))


def test_keys_are_in_redis_where_the_settings_say_so() -> None:
    """A server that should ask for keys never starts without asking."""
    over = Settings(redis_url="redis://127.0.0.1:1")
    assert keys_for(over, replica_for(over)) is None
    over = replace(over, api_keys_redis=True)
    assert over.authenticated
    assert isinstance(keys_for(over, replica_for(over)), RedisKeys)
    with pytest.raises(SettingsError, match="MCP_SERVER_REDIS_URL"):
        keys_for(Settings(api_keys_redis=True), None)


def test_requests_are_counted_together_where_they_are_counted_and_there_is_redis() -> None:
    over = Settings(redis_url="redis://127.0.0.1:1")
    assert buckets_for(over, replica_for(over)) is None
    over = replace(over, rate_per_second=1)
    assert isinstance(buckets_for(over, replica_for(over)), RedisBuckets)
    assert buckets_for(over, None) is None

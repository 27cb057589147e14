"""What the settings want kept where: in this process's memory, in a Redis shared with others, or not at all.

What must never stand here: a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpkit.security.keys import KeyStore
from mcpkit.sessions.mailbox import Bounds
from mcpkit.sessions.memory import MemoryStore
from mcpkit.sessions.none import NoSessions
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings, SettingsError

NEEDS_REDIS_PY: Final = "MCP_SERVER_REDIS_URL needs redis-py: pip install 'mcpkit[redis]'"
KEYS_WITHOUT_REDIS: Final = "MCP_API_KEYS_REDIS needs MCP_SERVER_REDIS_URL: the Redis that the keys are kept in"

if TYPE_CHECKING:
    from mcpkit.sessions.redis_rate import RedisBuckets
    from mcpkit.sessions.redis_replica import Replica


def replica_for(settings: Settings) -> Replica | None:
    """What this process shares over Redis, where the settings name one.

    Raises: SettingsError.
    """
    if settings.redis_url is None:
        return None
    try:
        from mcpkit.sessions.redis_replica import Replica  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise SettingsError(NEEDS_REDIS_PY) from None
    most, idle, bounds = settings.max_sessions, settings.session_idle_seconds, bounds_of(settings)
    try:
        return Replica(settings.redis_url, most=most, idle_seconds=idle, bounds=bounds)
    except ValueError as error:
        raise SettingsError(f"MCP_SERVER_REDIS_URL can't be read: {error}") from None


def store_for(settings: Settings, replica: Replica | None) -> SessionStore:
    """The store that goes with it."""
    if replica is not None:
        return replica.store
    if settings.workers > 1:
        return NoSessions()
    return MemoryStore(settings.max_sessions, settings.session_idle_seconds, bounds_of(settings))


def keys_for(settings: Settings, replica: Replica | None) -> KeyStore | None:
    """The API keys that all replicas know, where the settings ask for them.

    Raises: SettingsError.
    """
    if not settings.api_keys_redis:
        return None
    if replica is None:
        raise SettingsError(KEYS_WITHOUT_REDIS)
    from mcpkit.sessions.redis_keys import RedisKeys  # noqa: PLC0415 - an extra

    return RedisKeys(replica.link)


def buckets_for(settings: Settings, replica: Replica | None) -> RedisBuckets | None:
    """What counts the requests of a caller at all replicas together, where they share something."""
    if replica is None or not settings.rate_per_second:
        return None
    from mcpkit.sessions.redis_rate import RedisBuckets  # noqa: PLC0415 - an extra

    return RedisBuckets(replica.link, settings.rate_per_second, settings.rate_burst)


def bounds_of(settings: Settings) -> Bounds:
    """How much is kept for clients."""
    return Bounds(
        events=settings.max_stored_events,
        bytes=settings.max_stored_bytes,
        seconds=settings.stored_seconds,
        watched_bytes=settings.max_subscription_bytes,
        share=settings.caller_share,
    )

"""Which store of sessions the settings ask for: this process's memory, a Redis shared with others, or none.

What must never stand here: a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpkit.sessions.mailbox import Bounds
from mcpkit.sessions.memory import MemoryStore
from mcpkit.sessions.none import NoSessions
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings, SettingsError

if TYPE_CHECKING:
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
        raise SettingsError("MCP_SERVER_REDIS_URL needs redis-py: pip install 'mcpkit[redis]'") from None
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


def bounds_of(settings: Settings) -> Bounds:
    """How much is kept for clients that come back."""
    return Bounds(events=settings.max_stored_events, bytes=settings.max_stored_bytes, seconds=settings.stored_seconds)

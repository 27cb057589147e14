"""Results of tools that all replicas give again: bounded for each tool, and missed by nobody while Redis is away.

What must never stand here: what is kept for whom (features/caching.py).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.store import StoreAway

MOST_KEPT: Final = 128
"""Results of one tool; the one that would end first makes room."""
_COMMON: Final = """
local kept, ends = KEYS[1] .. 'results:' .. ARGV[1], KEYS[1] .. 'results-end:' .. ARGV[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""
_GET: Final = (
    _COMMON
    + """
-- tool, key → the result
local at = redis.call('ZSCORE', ends, ARGV[2])
if not at or tonumber(at) <= now then return false end
return redis.call('HGET', kept, ARGV[2])
"""
)
_PUT: Final = (
    _COMMON
    + """
-- tool, key, result, ms, most
local function forget(key)
  redis.call('ZREM', ends, key)
  redis.call('HDEL', kept, key)
end
for _, key in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now)) do forget(key) end
forget(ARGV[2])
while redis.call('ZCARD', ends) >= tonumber(ARGV[5]) do forget(redis.call('ZRANGE', ends, 0, 0)[1]) end
redis.call('HSET', kept, ARGV[2], ARGV[3])
redis.call('ZADD', ends, now + ARGV[4], ARGV[2])
for _, name in ipairs({kept, ends}) do
  if redis.call('PTTL', name) < tonumber(ARGV[4]) then redis.call('PEXPIRE', name, ARGV[4]) end
end
return 1
"""
)


class RedisResults:
    """See :class:`~mcpkit.features.caching.Results`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def get(self, tool: str, key: str) -> bytes | None:
        """What any replica put there, unless its time is over or Redis is away."""
        with suppress(StoreAway):
            found: bytes | None = await self._link.run(_GET, tool, key)
            return found
        return None

    async def put(self, tool: str, key: str, result: bytes, seconds: float) -> None:
        """Keep a result for all replicas, if Redis is there."""
        with suppress(StoreAway):
            await self._link.run(_PUT, tool, key, result, max(1, round(seconds * 1000)), MOST_KEPT)

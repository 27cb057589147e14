"""Token buckets that all replicas draw from: one small hash in Redis for each caller, gone once it is full again.

What must never stand here: who a caller is in clear, what one is told who has to wait.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from mcpkit.sessions.redis_link import Link

_TAKE: Final = """
-- caller, tokens a millisecond, burst → milliseconds to wait, or 0 when a token was taken
local bucket, rate, burst = KEYS[1] .. 'rate:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local found = redis.call('HMGET', bucket, 'left', 'at')
local left = tonumber(found[1] or burst) + math.max(0, now - tonumber(found[2] or now)) * rate
left = math.min(burst, left)
if left < 1 then return math.ceil((1 - left) / rate) end
redis.call('HSET', bucket, 'left', string.format('%.9f', left - 1), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', bucket, string.format('%.0f', math.ceil((burst - left + 1) / rate)))
return 0
"""


class RedisBuckets:
    """Every caller has ``burst`` tokens at once and ``rate`` more a second, by the clock of Redis."""

    def __init__(self, link: Link, rate: float, burst: int) -> None:
        self._link = link
        self._rate = rate / 1000
        self._burst = burst

    async def take(self, caller: str) -> float:
        """Take one token; 0, or how many seconds the caller has to wait for one.

        Raises: StoreAway.
        """
        name = sha256(caller.encode()).hexdigest()[:32]
        return int(await self._link.run(_TAKE, name, self._rate, self._burst)) / 1000

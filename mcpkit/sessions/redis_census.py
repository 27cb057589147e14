"""How much is kept in Redis in all, counted now and then: what a dashboard wants and no request needs.

What must never stand here: a session's record, a message.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from mcpkit.sessions.redis_link import Link

EVERY_SECONDS: Final = 10.0
AT_ONCE: Final = 500
"""Sessions that Redis looks at in one step, so that nobody waits for it."""
_STORED: Final = """
-- from, to → bytes of the messages that sessions of these ranks keep, and how many sessions those were
local P = KEYS[1]
local ids, bytes = redis.call('ZRANGE', P .. 'sessions', ARGV[1], ARGV[2]), 0
for _, id in ipairs(ids) do
  if redis.call('EXISTS', P .. 'box:' .. id) == 1 then
    bytes = bytes + tonumber(redis.call('HGET', P .. 'meta:' .. id, 'size') or '0')
  end
end
return {bytes, #ids}
"""


class Census:
    """Counts with every beat that comes long enough after the last count."""

    def __init__(self, link: Link) -> None:
        self.bytes = 0
        """Messages that wait in Redis, as of the last count."""
        self._link = link
        self._counted = float("-inf")
        link.beats.append(self._beat)

    async def _beat(self) -> None:
        now = monotonic()
        if now - self._counted >= EVERY_SECONDS:
            self._counted = now
            self.bytes = await self.count()

    async def count(self) -> int:
        """The bytes of all messages that wait.

        Raises: StoreAway.
        """
        total = start = 0
        found = AT_ONCE
        while found == AT_ONCE:
            stored, found = await self._link.run(_STORED, start, start + AT_ONCE - 1)
            total, start = total + stored, start + AT_ONCE
        return total

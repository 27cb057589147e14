"""How many requests one caller may send: a token bucket for each, in this process or shared by replicas.

While the shared ones are out of reach each replica counts for itself: too much is let in rather than nobody. What must
never stand here: who a caller is, anything of JSON-RPC.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from mcpkit.sessions.store import StoreAway
from mcpkit.transports.asgi import CLOSE, Refused

MOST_CALLERS: Final = 10_000
"""Buckets that are kept; when there are more, those that are full again are forgotten."""


class SharedBuckets(Protocol):
    """Buckets that several processes draw from."""

    async def take(self, caller: str) -> float:
        """Take one token; 0, or how many seconds the caller has to wait for one.

        Raises: StoreAway.
        """


class Pace:
    """Turns away whoever comes too fast."""

    __slots__ = ("_own", "_shared")

    def __init__(self, own: TokenBuckets, shared: SharedBuckets | None = None) -> None:
        self._own = own
        self._shared = shared

    async def keep(self, caller: str) -> None:
        """Count one request.

        Raises: Refused (429) when the caller has to wait.
        """
        wait = await self._wait(caller)
        if wait:
            after = b"%d" % max(1, math.ceil(wait))
            raise Refused(429, "Too many requests; see Retry-After", [(b"retry-after", after), CLOSE])

    async def _wait(self, caller: str) -> float:
        if self._shared is not None:
            try:
                return await self._shared.take(caller)
            except StoreAway:
                pass
        return self._own.take(caller)


class TokenBuckets:
    """Lets every caller send ``burst`` requests at once and ``rate`` a second in the long run."""

    __slots__ = ("_buckets", "_burst", "_now", "_rate")

    def __init__(self, rate: float, burst: int, now: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}
        """By caller: how many tokens there were, and when."""

    def take(self, caller: str) -> float:
        """Take one token; 0, or how many seconds the caller has to wait for one."""
        now = self._now()
        left, then = self._buckets.get(caller, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        if left < 1:
            return (1 - left) / self._rate
        if caller not in self._buckets and len(self._buckets) >= MOST_CALLERS:
            self._forget(now)
        self._buckets[caller] = (left - 1, now)
        return 0

    def _forget(self, now: float) -> None:
        """Drop the buckets that are full again; if none is, all: better too many let in than memory without end."""
        self._buckets = {
            caller: (left, then)
            for caller, (left, then) in self._buckets.items()
            if left + (now - then) * self._rate < self._burst
        }
        if len(self._buckets) >= MOST_CALLERS:
            self._buckets.clear()

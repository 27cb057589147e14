"""One process among several: the line to Redis, its inbox, and what is shared over it, put together and kept alive.

What must never stand here: HTTP, a server.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from mcpkit.protocol.changes import ChangeFeed
from mcpkit.sessions.mailbox import DEFAULT_BOUNDS, Bounds
from mcpkit.sessions.redis_feed import RedisFeed
from mcpkit.sessions.redis_inbox import Inbox
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.redis_results import RedisResults
from mcpkit.sessions.redis_store import RedisStore
from mcpkit.sessions.store import StoreAway

KEY_BYTES: Final = 32
AGAIN_SECONDS: Final = 0.2

Adopt = Callable[[bytes], None]


class Replica:
    """What a process shares with the others: :attr:`store`, :attr:`feed`, :attr:`results` while :meth:`running`."""

    def __init__(
        self, url: str, *, most: int = 10_000, idle_seconds: float = 1800.0, bounds: Bounds = DEFAULT_BOUNDS
    ) -> None:
        """Raises: ValueError when the URL can't be read."""
        self.link = Link(url)
        self.feed = RedisFeed(self.link)
        self.store = RedisStore(self.link, self.feed, most, idle_seconds, bounds)
        self.results = RedisResults(self.link)
        self._inbox = Inbox(self.link, self.feed.heard)
        self.store.listen(self._inbox)
        self._key: bytes | None = None

    @property
    def away(self) -> bool:
        """Whether Redis is out of reach."""
        return self.link.away

    @asynccontextmanager
    async def running(self, changes: ChangeFeed, adopt: Adopt | None = None) -> AsyncIterator[None]:
        """Take part, carrying the notices of ``changes``. A Redis that is away is waited for beside.

        ``adopt`` is given the key that seals request states, the same for all replicas, as soon as it is known.
        """
        self.link.begin()
        if adopt is not None:
            self.link.beats.append(self._keyed(adopt))
        with suppress(StoreAway):
            await self.link.beat()
            await self._inbox.begin()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.link.close)
            stack.callback(self.feed.join(changes))
            for work in (self.link.keep_beating(), self._inbox.read()):
                stack.push_async_callback(_ended, asyncio.ensure_future(work))
            yield

    def _keyed(self, adopt: Adopt) -> Callable[[], Coroutine[Any, Any, None]]:
        async def share() -> None:
            if self._key is None:
                name = f"{self.link.prefix}state-key"
                await self.link.do("SET", name, secrets.token_bytes(KEY_BYTES), "NX")
                self._key = await self.link.do("GET", name)
                adopt(self._key)

        return share


async def _ended(task: asyncio.Future[None]) -> None:
    """Cancel a task until it is over: redis-py, in the middle of connecting, takes a cancel for a failure."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_SECONDS)

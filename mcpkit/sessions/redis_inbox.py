"""What other replicas send to this one, and the notices of all of them: one connection that waits for both.

Messages are entries of a Redis stream, so a cut line loses none: reading goes on where it was. What must never stand
here: what a message means to a session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from redis.exceptions import RedisError

from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.store import StoreAway

Take: TypeAlias = Callable[[str, bytes], Awaitable[None]]
"""A session's id and the message's body."""
Hear: TypeAlias = Callable[[str, dict[str, bytes]], None]
"""An entry of the feed: its id and its fields."""

BLOCK_MS: Final = 1_000
AGAIN_SECONDS: Final = 0.1

logger = logging.getLogger("mcpkit.redis")


class Inbox:
    """Reads this replica's inbox and the feed for ever."""

    def __init__(self, link: Link, hear: Hear) -> None:
        self._link = link
        self._hear = hear
        self._kinds: dict[str, Take] = {}
        self._feed = f"{link.prefix}feed".encode()
        self._feed_at = ""

    def on(self, kind: str, take: Take) -> None:
        """Have messages of this kind taken by ``take``, one after the other: it must not wait for clients."""
        self._kinds[kind] = take

    async def begin(self) -> None:
        """From here on no notice is missed.

        Raises: StoreAway.
        """
        newest = await self._link.do("XREVRANGE", self._feed, "+", "-", "COUNT", 1)
        self._feed_at = newest[0][0].decode() if newest else "0-0"

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            client = self._link.reader()
            try:
                while True:
                    async with asyncio.timeout(3 * BLOCK_MS / 1000):
                        await self._read_some(client)
            except (RedisError, OSError, TimeoutError, StoreAway) as error:
                logger.info("the inbox can't be read: %s", type(error).__name__)
            except Exception:  # whatever it is, a replica that hears nothing any more is of no use
                logger.exception("the inbox can't be read")
            finally:
                with suppress(Exception):
                    await client.aclose()
            self._link.doubt()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _read_some(self, client: Any) -> None:
        own = f"{self._link.prefix}inbox:{self._link.id}"
        if not self._feed_at:
            await self.begin()
        found = await client.execute_command(
            "XREAD",
            "COUNT",
            100,
            "BLOCK",
            BLOCK_MS,
            "STREAMS",
            own,
            self._feed,
            self._link.read_up_to,
            self._feed_at,
        )
        for stream, entries in _streams(found):
            for id, fields in entries:
                if stream == self._feed:
                    self._feed_at = id
                    self._hear(id, fields)
                else:
                    self._link.read_up_to = id
                    await self._taken(fields)

    async def _taken(self, fields: dict[str, bytes]) -> None:
        take = self._kinds.get(fields["kind"].decode())
        if take is None:
            return
        try:
            await take(fields["session"].decode(), fields["body"])
        except Exception:
            logger.exception("a message of another replica could not be taken")


def _streams(found: Any) -> list[tuple[bytes, list[tuple[str, dict[str, bytes]]]]]:
    """What XREAD answered, whichever shape the client library gives it."""
    pairs = found.items() if isinstance(found, dict) else (found or ())
    return [(stream, [entry(one) for one in entries]) for stream, entries in pairs]


def entry(one: Any) -> tuple[str, dict[str, bytes]]:
    """One entry of a stream: its id and its fields."""
    id, fields = one
    if not isinstance(fields, dict):
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    return id.decode(), {name.decode(): value for name, value in fields.items()}

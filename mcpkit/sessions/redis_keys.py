"""API keys that all replicas know, in one Redis hash; only their digests, as everywhere.

What must never stand here: how a key is checked (security/keys.py), a key in clear.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from time import monotonic
from typing import Any, Final

import orjson

from mcpkit.security.bearer import VerifierUnavailable
from mcpkit.security.keys import ApiKey
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.store import StoreAway

logger = logging.getLogger("mcpkit.sessions")

FRESH_SECONDS: Final = 1.0
"""For how long what was read counts as what is: a key that is revoked anywhere is refused everywhere by then."""
STALE_SECONDS: Final = 60.0
"""How long keys are still accepted, as they were known last, while Redis is away; then nobody can be identified."""

_PUT: Final = """
redis.call('HSET', KEYS[1] .. 'keys', ARGV[1], ARGV[2])
return redis.call('INCR', KEYS[1] .. 'keys:version')
"""
_DROP: Final = """
redis.call('HDEL', KEYS[1] .. 'keys', ARGV[1])
return redis.call('INCR', KEYS[1] .. 'keys:version')
"""


class RedisKeys:
    """See :class:`~mcpkit.security.keys.KeyStore`. Changes hold at once here, at other replicas after FRESH_SECONDS."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._name = f"{link.prefix}keys"
        self._version: Any = b""
        self._keys: dict[str, ApiKey] = {}
        self._read = self._look_at = float("-inf")

    async def all(self) -> Mapping[str, ApiKey]:
        """Every key by id.

        Raises: VerifierUnavailable when they can't be had and have not been for a while.
        """
        now = monotonic()
        if now < self._look_at:
            return self._keys
        known = now - self._read < STALE_SECONDS
        if known:  # others need not wait for who looks
            self._look_at = now + FRESH_SECONDS
        try:
            await self._refresh()
        except StoreAway:
            if not known:
                raise VerifierUnavailable("Redis can't be reached") from None
        else:
            self._read, self._look_at = now, now + FRESH_SECONDS
        return self._keys

    async def _refresh(self) -> None:
        """Read them again if one has changed.

        Raises: StoreAway.
        """
        version = await self._link.do("GET", f"{self._name}:version")
        if version != self._version:
            found = await self._link.do("HGETALL", self._name)
            values = found.values() if isinstance(found, dict) else found[1::2]
            self._keys = {key.id: key for key in map(_key, values) if key is not None}
            self._version = version

    async def put(self, key: ApiKey) -> None:
        """Keep or replace a key.

        Raises: StoreAway.
        """
        await self._changed(_PUT, key.id, orjson.dumps(asdict(key)))

    async def drop(self, id: str) -> None:
        """Forget a key.

        Raises: StoreAway.
        """
        await self._changed(_DROP, id)

    async def _changed(self, step: str, *arguments: Any) -> None:
        await self._link.run(step, *arguments)
        self._look_at = float("-inf")


@asynccontextmanager
async def keys_at(url: str) -> AsyncIterator[RedisKeys]:
    """The keys in the Redis of that URL, for a program that serves nobody.

    Raises: ValueError when the URL can't be read.
    """
    link = Link(url)
    try:
        yield RedisKeys(link)
    finally:
        await link.close()


def _key(text: bytes) -> ApiKey | None:
    """A key as it was kept. One that a later version has said more of is refused here, for that may be a restriction;
    the others are not for its sake."""
    try:
        fields = orjson.loads(text)
        return ApiKey(**{**fields, "scopes": tuple(fields["scopes"])})
    except (ValueError, TypeError, KeyError):
        logger.warning("an API key in Redis can't be read by this version: it is not accepted here")
        return None

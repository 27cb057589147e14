"""API keys that all replicas know, in one Redis hash; only their digests, as everywhere.

What must never stand here: how a key is checked (security/keys.py), a key in clear.
"""

from __future__ import annotations

import logging
import secrets
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

WHOLLY_SECONDS: Final = 15.0
"""How often all keys are read anew though the version says that none has changed: somebody may have by hand."""
VERSIONS: Final = 1 << 62
"""A version is a number below this, drawn for each write: a counter would come back to where it was once Redis has been
emptied or set back, and old keys would pass for new ones. A number, for replicas of older versions count it on."""

_PUT: Final = """
-- version, id, key
redis.call('HSET', KEYS[1] .. 'keys', ARGV[2], ARGV[3])
return redis.call('SET', KEYS[1] .. 'keys:version', ARGV[1])
"""
_DROP: Final = """
-- version, id
redis.call('HDEL', KEYS[1] .. 'keys', ARGV[2])
return redis.call('SET', KEYS[1] .. 'keys:version', ARGV[1])
"""
_READ: Final = """
-- the version and the number of keys at hand → version, number of keys, and the keys where either differs
local version, count = redis.call('GET', KEYS[1] .. 'keys:version') or '', redis.call('HLEN', KEYS[1] .. 'keys')
if version ~= '' and version == ARGV[1] and count == tonumber(ARGV[2]) then return {version, count} end
return {version, count, redis.call('HVALS', KEYS[1] .. 'keys')}
"""


class RedisKeys:
    """See :class:`~mcpkit.security.keys.KeyStore`. Changes hold at once here, at other replicas after FRESH_SECONDS."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._version: tuple[bytes, int] = (b"", 0)
        """The version of what was read, and how many keys it held."""
        self._keys: dict[str, ApiKey] = {}
        self._read = self._wholly = self._look_at = float("-inf")

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
            await self._refresh(now)
        except StoreAway:
            if not known:
                raise VerifierUnavailable("Redis can't be reached") from None
        else:
            self._read, self._look_at = now, now + FRESH_SECONDS
        return self._keys

    async def _refresh(self, now: float) -> None:
        """Read them again if one has changed.

        Raises: StoreAway.
        """
        wholly = now - self._wholly >= WHOLLY_SECONDS
        known, count = (b"", 0) if wholly else self._version
        version, count, *found = await self._link.run(_READ, known, count)
        if found:
            self._keys = {key.id: key for key in map(_key, found[0]) if key is not None}
            self._wholly = now
        self._version = version, count

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
        await self._link.run(step, secrets.randbelow(VERSIONS), *arguments)
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

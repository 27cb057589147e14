"""API keys that all replicas know, in one Redis hash; only their digests, as everywhere.

What must never stand here: how a key is checked (security/keys.py), a key in clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from mcpkit.security.keys import ApiKey
from mcpkit.sessions.redis_link import Link


class RedisKeys:
    """See :class:`~mcpkit.security.keys.KeyStore`. What one replica puts or drops holds for all with the next call."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._name = f"{link.prefix}keys"
        self._version: Any = b""
        self._keys: dict[str, ApiKey] = {}

    async def all(self) -> Mapping[str, ApiKey]:
        """Every key by id; read again only when one has changed.

        Raises: StoreAway.
        """
        version = await self._link.do("GET", f"{self._name}:version")
        if version != self._version:
            found = await self._link.do("HGETALL", self._name)
            values = found.values() if isinstance(found, dict) else found[1::2]
            self._keys = {key.id: key for key in map(_key, values)}
            self._version = version
        return self._keys

    async def put(self, key: ApiKey) -> None:
        """Keep or replace a key.

        Raises: StoreAway.
        """
        await self._link.do("HSET", self._name, key.id, orjson.dumps(asdict(key)))
        await self._link.do("INCR", f"{self._name}:version")

    async def drop(self, id: str) -> None:
        """Forget a key.

        Raises: StoreAway.
        """
        await self._link.do("HDEL", self._name, id)
        await self._link.do("INCR", f"{self._name}:version")


def _key(text: bytes) -> ApiKey:
    fields = orjson.loads(text)
    return ApiKey(**{**fields, "scopes": tuple(fields["scopes"])})

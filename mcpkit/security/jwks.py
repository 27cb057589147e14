"""The signing keys of an issuer, fetched without blocking, kept, and fetched again when a new key id appears.

What must never stand here: tokens, claims.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Final, TypeAlias

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable

Fetch: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]
"""URL → the JSON object behind it; raises VerifierUnavailable."""

MAX_DOCUMENT: Final = 256 * 1024
LIFETIME: Final = 600.0
"""Seconds that keys are trusted without asking again."""
PAUSE: Final = 10.0
"""Seconds between two fetches for unknown key ids, so that invented ids can't hammer the issuer."""


async def fetch_json(url: str) -> Mapping[str, Any]:
    """GET a JSON object: https (or loopback), no redirects, bounded in size and time.

    Raises: VerifierUnavailable.
    """
    import httpx  # noqa: PLC0415  # only servers that check tokens pay for it

    try:
        async with (
            httpx.AsyncClient(timeout=5.0, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_DOCUMENT:
                    raise VerifierUnavailable("the issuer's document is too large")
            answer.raise_for_status()
    except httpx.HTTPError as error:
        raise VerifierUnavailable(f"the issuer did not answer: {type(error).__name__}") from None
    return parse_object(bytes(body))


def parse_object(body: bytes) -> Mapping[str, Any]:
    """A JSON object, or nothing.

    Raises: VerifierUnavailable.
    """
    import orjson  # noqa: PLC0415  # beside httpx

    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise VerifierUnavailable("the issuer's document is not a JSON object")
    return document


class KeySet:
    """The keys at one JWKS URL, by key id."""

    __slots__ = ("_asked", "_fetch", "_fetched", "_keys", "_lock", "_now", "_url")

    def __init__(self, url: str, *, fetch: Fetch = fetch_json, now: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._fetch = fetch
        self._now = now
        self._keys: dict[str | None, Mapping[str, Any]] = {}
        self._fetched = self._asked = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, key_id: str | None) -> Mapping[str, Any]:
        """The key with that id (the only key, when the token names none).

        Raises: InvalidToken when there is none; VerifierUnavailable.
        """
        if not self._fresh(key_id):
            async with self._lock:
                if not self._fresh(key_id):
                    await self._refresh()
        found = self._keys.get(key_id) if key_id is not None else self._only()
        if found is None:
            raise InvalidToken("the token is signed with a key that its issuer does not publish")
        return found

    def _fresh(self, key_id: str | None) -> bool:
        if key_id in self._keys or (key_id is None and self._keys):
            return self._now() - self._fetched < LIFETIME
        return self._now() - self._asked < PAUSE

    async def _refresh(self) -> None:
        """Fetch anew; the keys that we have go on serving while the issuer is away."""
        try:
            document = await self._fetch(self._url)
        except VerifierUnavailable:
            if not self._keys:
                raise
            self._fetched = self._now() - LIFETIME + PAUSE
            return
        finally:
            self._asked = self._now()
        self._keys = _signing(document.get("keys"))
        self._fetched = self._now()

    def _only(self) -> Mapping[str, Any] | None:
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None


def _signing(keys: Any) -> dict[str | None, Mapping[str, Any]]:
    """The keys for signatures in what should be a list of JWKs; what is none is passed over."""
    entries = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    return {
        key.get("kid"): key
        for key in entries
        if key.get("use", "sig") == "sig" and isinstance(key.get("kid"), str | None)
    }

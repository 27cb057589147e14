"""The signing keys of an issuer, fetched without blocking, kept, and fetched again when a new key id appears.

What must never stand here: tokens, claims.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, Final, TypeAlias

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable

Fetch: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]
"""URL → the JSON object behind it; raises VerifierUnavailable."""

MAX_DOCUMENT: Final = 256 * 1024
PLAIN: Final = {"accept-encoding": "identity"}
"""Header fields that ask for a document as it is."""
FETCH_SECONDS: Final = 10.0
"""How long a whole fetch may take."""
LIFETIME: Final = 600.0
"""Seconds that keys are trusted without asking again."""
STALE_SECONDS: Final = 3600.0
"""Seconds that keys are trusted at most, while the issuer can't be asked: then a key that it has withdrawn since opens
nothing any more."""
PAUSE: Final = 10.0
"""Seconds between two fetches for unknown key ids, so that invented ids can't hammer the issuer."""

logger = logging.getLogger("mcpkit.auth")


async def fetch_json(url: str) -> Mapping[str, Any]:
    """GET a JSON object: https (or loopback), no redirects, bounded in size and time.

    Raises: VerifierUnavailable.
    """
    import httpx  # noqa: PLC0415  # only servers that check tokens pay for it

    try:
        async with (
            asyncio.timeout(FETCH_SECONDS),
            httpx.AsyncClient(timeout=5.0, follow_redirects=False, headers=PLAIN) as client,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            body = await read_bounded(answer)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise VerifierUnavailable(f"the issuer did not answer: {type(error).__name__}") from None
    return parse_object(body)


async def read_bounded(answer: Any) -> bytes:
    """The body of an issuer's answer, which nothing compresses: a few bytes of gzip become a thousand times as many.

    ``answer`` is an httpx.Response that streams. Raises: VerifierUnavailable.
    """
    if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise VerifierUnavailable("the issuer's document is compressed, and was asked for plain")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_DOCUMENT:
            raise VerifierUnavailable("the issuer's document is too large")
    return bytes(body)


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
    """The keys at one JWKS URL, by key id.

    While the issuer can't be asked, the keys that are known serve on for STALE_SECONDS after they were fetched; of any
    other key nobody can say whether the issuer publishes it.
    """

    __slots__ = ("_asked", "_failed", "_fetch", "_fetched", "_keys", "_lock", "_now", "_url")

    def __init__(self, url: str, *, fetch: Fetch = fetch_json, now: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._fetch = fetch
        self._now = now
        self._keys: dict[str | None, Mapping[str, Any]] = {}
        self._fetched = self._asked = float("-inf")
        self._failed: VerifierUnavailable | None = None
        """Why the last fetch came to nothing, if it did."""
        self._lock = asyncio.Lock()

    async def key(self, key_id: str | None) -> Mapping[str, Any]:
        """The key with that id (the only key, when the token names none).

        Raises: InvalidToken when there is none; VerifierUnavailable.
        """
        if not self._fresh(key_id) and not (self._lock.locked() and self._known(key_id)):
            async with self._lock:
                if not self._fresh(key_id):
                    await self._refresh()
        if self._now() - self._fetched >= STALE_SECONDS:
            raise self._unavailable()
        found = self._keys.get(key_id) if key_id is not None else self._only()
        if found is not None:
            return found
        if self._failed is not None:  # it may be a new one
            raise self._unavailable()
        raise InvalidToken("the token is signed with a key that its issuer does not publish")

    def _known(self, key_id: str | None) -> bool:
        return key_id in self._keys or (key_id is None and bool(self._keys))

    def _fresh(self, key_id: str | None) -> bool:
        """Whether nothing is gained by asking the issuer now."""
        now = self._now()
        return now - self._asked < PAUSE or (self._known(key_id) and now - self._fetched < LIFETIME)

    async def _refresh(self) -> None:
        """Fetch anew; what is known stays as it is where that fails."""
        try:
            keys = _signing(await self._fetch(self._url))
        except VerifierUnavailable as error:
            if self._failed is None:
                logger.warning("signing keys can't be fetched from %s: %s", self._url, error)
            self._failed, self._asked = error, self._now()
            return
        if self._failed is not None:
            logger.warning("signing keys can be fetched again")
        self._failed, self._keys = None, keys
        self._fetched = self._asked = self._now()

    def _unavailable(self) -> VerifierUnavailable:
        return VerifierUnavailable(str(self._failed or "the issuer's keys are not known"))

    def _only(self) -> Mapping[str, Any] | None:
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None


def _signing(document: Mapping[str, Any]) -> dict[str | None, Mapping[str, Any]]:
    """The keys for signatures in what should be a set of JWKs; an entry that is none is passed over.

    Raises: VerifierUnavailable when it is no such set, as a page that says that the issuer is being repaired.
    """
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise VerifierUnavailable("the issuer's document is no set of keys")
    entries = [key for key in keys if isinstance(key, dict)]
    return {
        key.get("kid"): key
        for key in entries
        if key.get("use", "sig") == "sig" and isinstance(key.get("kid"), str | None)
    }

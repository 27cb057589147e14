"""Opaque access tokens, checked by asking the issuer (RFC 7662), with a short memory.

What must never stand here: HTTP of our own server, a token in a log.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic, time
from typing import Any, Final, TypeAlias, TypeVar

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.jwks import FETCH_SECONDS, PLAIN, parse_object, read_bounded
from mcpkit.security.jwt import expiry_of, principal_of
from mcpkit.security.principal import Principal
from mcpkit.security.resource import ProtectedResource

T = TypeVar("T")
Ask: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Token → the issuer's introspection answer; raises VerifierUnavailable."""

REMEMBERED: Final = 4_096
LIFETIME: Final = 30.0
"""Seconds for which an answer is believed: how long a revoked token may still get in."""
REFUSED_LIFETIME: Final = 10.0
"""Seconds for which a token that was not active is not asked about again: one that it becomes later waits as long."""
MOST_QUESTIONS: Final = 32
"""Questions to the issuer at once: invented tokens, each asked about, must not load it without end."""


class IntrospectionVerifier:
    """Asks one issuer about each token that it has not asked about lately; about one token once at a time."""

    def __init__(
        self, issuer: str, resource: ProtectedResource, ask: Ask, *, now: Callable[[], float] = monotonic
    ) -> None:
        self._issuer = issuer
        self._resource = resource
        self._ask = ask
        self._now = now
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._refused: dict[bytes, tuple[float, str]] = {}
        self._asked: dict[bytes, asyncio.Task[Principal]] = {}

    async def verify(self, token: str) -> Principal:
        """The caller that the token stands for.

        Raises: InvalidToken; VerifierUnavailable, also where too many tokens are being asked about.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and self._now() < known[0]:
            return known[1]
        refused = self._refused.get(digest)
        if refused is not None and self._now() < refused[0]:
            raise InvalidToken(refused[1])
        asked = self._asked.get(digest)
        if asked is None:
            if len(self._asked) >= MOST_QUESTIONS:
                raise VerifierUnavailable("the issuer is being asked about too many tokens")
            asked = self._asked[digest] = asyncio.ensure_future(self._find_out(token, digest))
            asked.add_done_callback(lambda done: self._answered(digest, done))
        return await asyncio.shield(asked)  # others may wait for the same answer

    async def _find_out(self, token: str, digest: bytes) -> Principal:
        answer = await self._ask(token)
        try:
            principal = self._judge(answer)
        except InvalidToken as error:
            _remember(self._refused, digest, (self._now() + REFUSED_LIFETIME, str(error)))
            raise
        _remember(self._known, digest, (self._now() + min(LIFETIME, _left(answer)), principal))
        return principal

    def _answered(self, digest: bytes, asked: asyncio.Task[Principal]) -> None:
        del self._asked[digest]
        if not asked.cancelled():
            asked.exception()  # whoever asked may be gone

    def _judge(self, answer: Mapping[str, Any]) -> Principal:
        if "active" not in answer:  # RFC 7662 §2.2 requires it: this is an error in the issuer, no answer
            raise VerifierUnavailable("the issuer's answer doesn't say whether the token is active")
        if answer["active"] is not True or _left(answer) <= 0:
            raise InvalidToken("the token has expired or was revoked")
        if answer.get("iss", self._issuer) != self._issuer:
            raise InvalidToken("the token is of another issuer")
        if not self._resource.is_audience(answer.get("aud")):
            raise InvalidToken("the token was issued for another resource")
        return principal_of(self._issuer, answer)


def _remember(memory: dict[bytes, tuple[float, T]], digest: bytes, entry: tuple[float, T]) -> None:
    """Keep what was found out; where there is no room for it the oldest goes."""
    memory.pop(digest, None)
    if len(memory) >= REMEMBERED:
        del memory[next(iter(memory))]
    memory[digest] = entry


def _left(answer: Mapping[str, Any]) -> float:
    """Seconds until the token ends by its own word."""
    expiry = expiry_of(answer)
    return LIFETIME if expiry is None else expiry - time()


def asking(endpoint: str, client_id: str, client_secret: str) -> Ask:
    """The way to ask an introspection endpoint, authenticated by HTTP Basic."""

    async def ask(token: str) -> Mapping[str, Any]:
        import httpx  # noqa: PLC0415  # only servers that check tokens pay for it

        try:
            async with (
                asyncio.timeout(FETCH_SECONDS),
                httpx.AsyncClient(timeout=5.0, follow_redirects=False, headers=PLAIN) as client,
                client.stream(
                    "POST",
                    endpoint,
                    data={"token": token, "token_type_hint": "access_token"},
                    auth=(client_id, client_secret),
                ) as answer,
            ):
                answer.raise_for_status()
                body = await read_bounded(answer)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise VerifierUnavailable(f"the issuer did not answer: {type(error).__name__}") from None
        return parse_object(body)

    return ask

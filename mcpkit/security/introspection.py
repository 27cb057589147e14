"""Opaque access tokens, checked by asking the issuer (RFC 7662), with a short memory.

What must never stand here: HTTP of our own server, a token in a log.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic, time
from typing import Any, Final, TypeAlias

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.jwks import FETCH_SECONDS, PLAIN, parse_object, read_bounded
from mcpkit.security.jwt import expiry_of, principal_of
from mcpkit.security.principal import Principal
from mcpkit.security.resource import ProtectedResource

Ask: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Token → the issuer's introspection answer; raises VerifierUnavailable."""

REMEMBERED: Final = 4_096
LIFETIME: Final = 30.0
"""Seconds for which an answer is believed: how long a revoked token may still get in."""


class IntrospectionVerifier:
    """Asks one issuer about each token that it has not asked about lately."""

    def __init__(
        self, issuer: str, resource: ProtectedResource, ask: Ask, *, now: Callable[[], float] = monotonic
    ) -> None:
        self._issuer = issuer
        self._resource = resource
        self._ask = ask
        self._now = now
        self._known: dict[bytes, tuple[float, Principal]] = {}

    async def verify(self, token: str) -> Principal:
        """The caller that the token stands for.

        Raises: InvalidToken, VerifierUnavailable.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and self._now() < known[0]:
            return known[1]
        answer = await self._ask(token)
        principal = self._judge(answer)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[digest] = (self._now() + min(LIFETIME, _left(answer)), principal)
        return principal

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

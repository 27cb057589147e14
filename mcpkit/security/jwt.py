"""Access tokens that are JWTs (RFC 9068), checked against an issuer's published keys. Needs ``mcpkit[auth]``.

Signature by an algorithm of the allow-list, issuer, audience, times, type (TOK-03, TOK-07). What must never stand
here: fetching (jwks.py), scopes of tools, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from mcpkit.security.bearer import InvalidToken
from mcpkit.security.principal import Principal
from mcpkit.security.resource import ProtectedResource

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""What a signature may be made with: asymmetric only, so that a public key can't be used as a secret."""
LEEWAY: Final = 30
"""Seconds by which two clocks may differ."""
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class Keys(Protocol):
    """Where signing keys come from."""

    async def key(self, key_id: str | None) -> Mapping[str, Any]:
        """The JWK with that id. Raises: InvalidToken, VerifierUnavailable."""


class JwtVerifier:
    """Checks the JWTs of one issuer for one resource."""

    def __init__(
        self, issuer: str, resource: ProtectedResource, keys: Keys, *, algorithms: Sequence[str] = ALGORITHMS
    ) -> None:
        """Raises: ValueError for an algorithm that must not be trusted; ImportError without ``mcpkit[auth]``."""
        import jwt  # noqa: PLC0415  # the extra

        if refused := set(algorithms) - set(ALGORITHMS):
            raise ValueError(f"tokens can't be trusted by {', '.join(sorted(refused))}; choose from {ALGORITHMS}")
        self._jwt = jwt
        self._issuer = issuer
        self._resource = resource
        self._keys = keys
        self._algorithms = list(algorithms)

    async def verify(self, token: str) -> Principal:
        """The caller that the token stands for.

        Raises: InvalidToken, VerifierUnavailable.
        """
        header = self._header(token)
        key = await self._keys.key(header.get("kid"))
        claims = self._claims(token, key)
        if not self._resource.is_audience(claims.get("aud")):
            raise InvalidToken("the token was issued for another resource")
        return principal_of(self._issuer, claims)

    def _header(self, token: str) -> Mapping[str, Any]:
        try:
            header: dict[str, Any] = self._jwt.get_unverified_header(token)
        except (self._jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise InvalidToken("the token is not a JWT") from None
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken("the token is not an access token")
        if header.get("alg") not in self._algorithms:
            raise InvalidToken("the token is signed by an algorithm that is not allowed")
        return header

    def _claims(self, token: str, key: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            claims: dict[str, Any] = self._jwt.decode(
                token,
                self._jwt.PyJWK.from_dict(dict(key)),
                algorithms=self._algorithms,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )
        except self._jwt.ExpiredSignatureError:
            raise InvalidToken("the token has expired") from None
        except (self._jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError):
            raise InvalidToken("the token is not valid here") from None
        return claims


def principal_of(issuer: str, claims: Mapping[str, Any]) -> Principal:
    """Who the claims speak of: issuer, subject and client together (TOK-09).

    Raises: InvalidToken when they name nobody.
    """
    subject, client = claims.get("sub"), claims.get("client_id")
    client = claims.get("azp") if client is None else client
    if not isinstance(subject, str) or not subject:
        raise InvalidToken("the token names no subject")
    if client is not None and not isinstance(client, str):  # nobody: all such clients would be one
        raise InvalidToken("the token's client is no text")
    try:
        id = Principal.identify(issuer, subject, client)
    except ValueError:
        raise InvalidToken("the token's subject or client is no Unicode text") from None
    return Principal(
        id=id,
        scopes=scopes_of(claims),
        client_id=client,
        claims=claims,
        expires=expiry_of(claims),
    )


def expiry_of(claims: Mapping[str, Any]) -> float | None:
    """When the token ends by its own word, in seconds since the epoch."""
    expiry = claims.get("exp")
    if not isinstance(expiry, int | float) or isinstance(expiry, bool):
        return None
    try:
        return float(expiry)
    except OverflowError:  # an integer beyond every clock
        return None if expiry > 0 else 0.0


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """The granted scopes: ``scope`` as text (RFC 9068) or ``scp`` as a list."""
    scope = claims.get("scope", claims.get("scp", ""))
    if isinstance(scope, str):
        return frozenset(scope.split())
    return frozenset(entry for entry in scope if isinstance(entry, str)) if isinstance(scope, list) else frozenset()

"""Bearer tokens: taking one out of a header, checking it by a verifier, and saying what was missing.

RFC 6750 with RFC 9728's ``resource_metadata`` (authorization.md RS-02, RS-05, RS-07, TOK-01…TOK-10). What must never
stand here: HTTP statuses, a token in a message or a log.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from mcpkit.security.principal import Principal

MAX_TOKEN: Final = 16 * 1024
"""Characters; a longer token is not looked at."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


class InvalidToken(Exception):
    """The token is not one of ours, or no longer: answered with ``invalid_token``."""


class MalformedCredentials(Exception):
    """The Authorization header can't be read: answered with ``invalid_request``."""


class VerifierUnavailable(Exception):
    """The token can't be checked now (the issuer doesn't answer): nobody is let in, and it may be tried again."""


class TokenVerifier(Protocol):
    """Decides whose token this is."""

    async def verify(self, token: str) -> Principal:
        """The caller that the token stands for.

        Raises: InvalidToken, VerifierUnavailable.
        """


def bearer_token(header: str | None) -> str | None:
    """The token in an Authorization header; None where there is no header or another scheme.

    Raises: MalformedCredentials.
    """
    if header is None:
        return None
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = rest.strip(" ")
    if len(token) > MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise MalformedCredentials("the Authorization header must be: Bearer <token>")
    return token


def challenge(
    metadata_url: str | None = None,
    *,
    scopes: Collection[str] = (),
    error: str | None = None,
    description: str | None = None,
) -> str:
    """The value of ``WWW-Authenticate`` (RFC 6750 §3)."""
    parts = {
        "error": error,
        "error_description": description,
        "scope": " ".join(sorted(scopes)) or None,
        "resource_metadata": metadata_url,
    }
    said = ", ".join(f'{name}="{_quoted(value)}"' for name, value in parts.items() if value)
    return f"Bearer {said}" if said else "Bearer"


def _quoted(value: str) -> str:
    """The inside of a quoted string: printable ASCII, escaped (RS-08)."""
    ascii_only = "".join(char if " " <= char <= "~" else "?" for char in value)
    return ascii_only.replace("\\", "\\\\").replace('"', '\\"')


class AnyOf:
    """Tries several verifiers in order: API keys beside an authorization server, two issuers, and so on."""

    def __init__(self, verifiers: Sequence[TokenVerifier]) -> None:
        self._verifiers = tuple(verifiers)

    async def verify(self, token: str) -> Principal:
        """The first verifier's answer that is not a refusal.

        Raises: InvalidToken when all refuse; VerifierUnavailable when one that could know does not answer.
        """
        unavailable: VerifierUnavailable | None = None
        for verifier in self._verifiers:
            try:
                return await verifier.verify(token)
            except InvalidToken:
                continue
            except VerifierUnavailable as error:
                unavailable = error
        raise unavailable or InvalidToken("the token is not known here")

"""Who calls, by bearer token: the gate's question put to a token verifier, and its refusals as HTTP challenges.

401 without or with a bad token, 400 for credentials that can't be read, 403 for too small a scope, 503 while nobody
can tell (authorization.md RS-02…RS-08, TOK-01, TOK-02, STEP-01). What must never stand here: a token in a message,
what a token looks like (security/).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from mcpkit.jsonrpc.messages import Id
from mcpkit.security.bearer import (
    InvalidToken,
    MalformedCredentials,
    TokenVerifier,
    VerifierUnavailable,
    bearer_token,
    challenge,
)
from mcpkit.security.principal import Principal
from mcpkit.security.resource import ProtectedResource
from mcpkit.security.scopes import ScopeRules
from mcpkit.transports.asgi import Header, Refused

RETRY_SECONDS: Final = b"5"
STREAM_SECONDS: Final = 3600.0


class Authentication:
    """Lets in whoever brings a token that ``verifier`` knows and that carries ``scopes``.

    ``resource`` describes this server to OAuth clients; without it (API keys alone) the challenge names no metadata.
    ``rules`` say which scopes contain which. A stream ends with the token, or after ``stream_seconds``.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        *,
        resource: ProtectedResource | None = None,
        scopes: Collection[str] = (),
        rules: ScopeRules | None = None,
        stream_seconds: float = STREAM_SECONDS,
    ) -> None:
        self._verifier = verifier
        self.stream_seconds = stream_seconds
        self.resource = resource
        self._scopes = frozenset(scopes)
        self._rules = rules or ScopeRules()

    async def __call__(self, headers: Mapping[str, str]) -> Principal:
        """The caller behind these header fields.

        Raises: Refused.
        """
        try:
            token = bearer_token(headers.get("authorization"))
            if token is None:
                raise self._refused(401, "A bearer token is required; send Authorization: Bearer <token>")
            principal = await self._verifier.verify(token)
        except MalformedCredentials as error:
            raise self._refused(400, str(error), "invalid_request") from None
        except InvalidToken as error:
            raise self._refused(401, f"The token is not accepted: {error}", "invalid_token") from None
        except VerifierUnavailable:
            raise Refused(503, "Tokens can't be checked now; try again", [(b"retry-after", RETRY_SECONDS)]) from None
        principal = replace(principal, scopes=self._rules.granted(principal.scopes))
        if not self._scopes <= principal.scopes:
            raise self.forbidden(self._scopes)
        return principal

    def forbidden(self, scopes: Collection[str], id: Id | None = None) -> Refused:
        """The refusal of a caller who needs ``scopes`` as well (STEP-01, STEP-02).

        The challenge names all that the request needs: some clients ask for just that, and would lose the rest.
        """
        return forbidden(self._scopes.union(scopes), id, self.resource.metadata_url if self.resource else None)

    def _refused(self, status: int, message: str, error: str | None = None) -> Refused:
        url = self.resource.metadata_url if self.resource else None
        return Refused(status, message, [_challenge(url, error, self._scopes, message if error else None)])


def forbidden(scopes: Collection[str], id: Id | None = None, metadata_url: str | None = None) -> Refused:
    """The refusal of a caller whose token lacks ``scopes``."""
    message = f"Insufficient scope; ask for a token with: {' '.join(sorted(scopes))}"
    return Refused(403, message, [_challenge(metadata_url, "insufficient_scope", scopes, None)], id=id)


def _challenge(url: str | None, error: str | None, scopes: Collection[str], description: str | None) -> Header:
    said = challenge(url, scopes=scopes, error=error, description=description)
    return b"www-authenticate", said.encode("latin-1")

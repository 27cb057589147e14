"""The authorization code flow: the user sent out with a challenge, the answer checked, the code exchanged.

Every check that keeps another server's code, or another user's, from being taken stands here (FLOW-01 to 07). What must
never stand here: a browser (redirect.py), where the endpoints come from.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.discovery import Ground
from mcpkit.client.oauth.metadata import ServerMetadata
from mcpkit.client.urls import origin_text

_ERRORS = frozenset(
    {
        *("access_denied", "invalid_request", "invalid_scope", "invalid_target", "server_error"),
        *("temporarily_unavailable", "unauthorized_client", "unsupported_response_type"),
        *("interaction_required", "login_required", "consent_required"),
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One visit to the authorization server, and what must be remembered of it until the user is back."""

    server: ServerMetadata
    """With the issuer that was checked before the user was sent there (FLOW-04)."""
    verifier: str
    state: str

    @classmethod
    def new(cls, server: ServerMetadata) -> Attempt:
        """An attempt with fresh secrets."""
        return cls(server, secrets.token_urlsafe(48), secrets.token_urlsafe(24))

    def url(self, ground: Ground, client_id: str, redirect_uri: str, scopes: tuple[str, ...]) -> str:
        """Where to send the user."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "state": self.state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "resource": ground.resource,
        }
        if scopes:
            query["scope"] = " ".join(scopes)
        parts = urlsplit(self.server.authorization_endpoint or "")
        added = urlencode(query)
        return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added, fragment=""))

    def code_from(self, returned: str) -> str:
        """The code in what the browser came back with.

        Raises: AuthorizationFailed when anything about it is not as it must be; nothing of it is shown then.
        """
        answer = _parameters(returned)
        if not secrets.compare_digest(answer.get("state", "").encode(), self.state.encode()):
            raise AuthorizationFailed("the authorization response belongs to another attempt; it is discarded")
        self._check_issuer(answer.get("iss"))
        if "error" in answer:
            error = answer["error"] if answer["error"] in _ERRORS else "an unknown error"
            raise AuthorizationFailed(f"{origin_text(self.server.issuer)} did not authorize: {error}")
        if not answer.get("code"):
            raise AuthorizationFailed("the authorization response has no code")
        return answer["code"]

    def _check_issuer(self, issuer: str | None) -> None:
        """The answer comes from the very server the user was sent to: plain strings, nothing normalised (FLOW-06)."""
        if issuer is None and not self.server.names_issuer:
            return
        if issuer != self.server.issuer:
            raise AuthorizationFailed("the authorization response does not come from the server that was asked")


def require_pkce(ground: Ground) -> None:
    """That the server supports the S256 challenge (ADIS-05).

    Raises: AuthorizationFailed.
    """
    methods = ground.server.challenge_methods
    if ground.legacy and methods is None:
        return
    if methods is None or "S256" not in methods:
        raise AuthorizationFailed(f"{origin_text(ground.server.issuer)} does not support PKCE with S256; not used")


def _parameters(returned: str) -> dict[str, str]:
    query = urlsplit(returned).query if "?" in returned else returned
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise AuthorizationFailed("the authorization response has a parameter twice; it is discarded")
    return parameters

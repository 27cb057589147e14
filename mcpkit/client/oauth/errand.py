"""One errand to a token endpoint: who asks, for what, proven how.

What must never stand here: which grant it is for (grants.py), when it is done (provider.py).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.crypto import ProofKey
from mcpkit.client.oauth.discovery import Ground
from mcpkit.client.oauth.exchange import Exchanges, Reply
from mcpkit.client.oauth.registration import chosen_method
from mcpkit.client.oauth.tokens import Registration, Tokens, Vault
from mcpkit.client.urls import origin_text

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class Proofs:
    """The key that tokens are bound to, where they are, and the nonces that each origin wants in the next proof."""

    key: ProofKey | None = None
    nonces: dict[str, str] = field(default_factory=dict)

    def heard(self, url: str, headers: Mapping[str, str]) -> bool:
        """Take the nonce that an origin gave; False when there was none, or it is the one that was used."""
        nonce, origin = headers.get("dpop-nonce"), origin_text(url)
        if nonce is None or not nonce.isprintable() or self.nonces.get(origin) == nonce:
            return False
        self.nonces[origin] = nonce
        return True

    def header(self, method: str, url: str, token: str | None, body: bytes | None) -> dict[str, str]:
        """The proof for one request; empty where tokens are not bound."""
        if self.key is None:
            return {}
        nonce = self.nonces.get(origin_text(url))
        return {"DPoP": self.key.proof(method, url, token=token, nonce=nonce, body=body)}


@dataclass(slots=True)
class Errand:
    """What is known when tokens are asked for."""

    exchanges: Exchanges
    vault: Vault
    ground: Ground
    scopes: tuple[str, ...]
    proofs: Proofs

    async def tokens(self, form: Mapping[str, str], who: Mapping[str, str], headers: Mapping[str, str]) -> Tokens:
        """The tokens for a grant; ``who`` and ``headers`` authenticate the client.

        Raises: AuthorizationFailed with the server's error code.
        """
        issuer = origin_text(self.ground.server.issuer)
        url = await self.exchanges.allowed(self.ground.server.token_endpoint, f"the token endpoint of {issuer}")
        reply = await self._post(url, {**form, **who}, headers)
        if not reply.ok and reply.error == "use_dpop_nonce" and self.proofs.heard(url, reply.headers):
            reply = await self._post(url, {**form, **who}, headers)
        if not reply.ok:
            raise AuthorizationFailed(f"{issuer} gave no token: {reply.error}")
        self.proofs.heard(url, reply.headers)
        return Tokens.parse(reply.json, self.scopes)

    async def tokens_for(self, form: Mapping[str, str], registration: Registration) -> Tokens:
        """The tokens for a grant of a registered client (REG-08).

        Raises: AuthorizationFailed.
        """
        who, headers = authentication(self.ground, registration)
        return await self.tokens(form, who, headers)

    def about_access(self) -> dict[str, str]:
        """What the tokens are for: the resource, exactly as published, and the scopes (FLOW-02)."""
        wanted = {"resource": self.ground.resource}
        return {**wanted, "scope": " ".join(self.scopes)} if self.scopes else wanted

    async def _post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        proof = self.proofs.header("POST", url, None, None)
        return await self.exchanges.post_form(url, "the token request", form, {**headers, **proof})


def authentication(ground: Ground, registration: Registration) -> tuple[dict[str, str], dict[str, str]]:
    """The form fields and headers that say who the client is."""
    secret = registration.client_secret
    method = chosen_method(ground.server, registration, has_secret=secret is not None)
    if method == "client_secret_basic" and secret is not None:
        pair = f"{quote(registration.client_id, safe='')}:{quote(secret, safe='')}"
        return {}, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    if method == "client_secret_post" and secret is not None:
        return {"client_id": registration.client_id, "client_secret": secret}, {}
    return {"client_id": registration.client_id}, {}

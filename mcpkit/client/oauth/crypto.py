"""Signatures: the key of DPoP proofs, and signed assertions. Loads PyJWT (the extra ``auth``) when it is first needed.

What must never stand here: a request, where a proof is sent.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mcpkit.client.errors import AuthorizationFailed

_LIFETIME_SECONDS = 300


def available() -> bool:
    """The extra is installed."""
    try:
        _library()
    except AuthorizationFailed:
        return False
    return True


def assertion(client_id: str, audience: str, key: str, algorithm: str) -> str:
    """A signed statement that authenticates a client (RFC 7523 §3): short-lived, for one audience, once.

    Raises: AuthorizationFailed when the extra is missing or the key does not fit the algorithm.
    """
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "iat": now, "exp": now + _LIFETIME_SECONDS}
    return _signed({**claims, "jti": secrets.token_urlsafe(16)}, key, algorithm, {})


class ProofKey:
    """The key that DPoP binds tokens to, made for this client and never stored (RFC 9449)."""

    ALGORITHM = "ES256"

    def __init__(self) -> None:
        curves: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ec")
        self._key = curves.generate_private_key(curves.SECP256R1())
        to_jwk: Any = _library().algorithms.ECAlgorithm.to_jwk
        self._public: Mapping[str, Any] = to_jwk(self._key.public_key(), as_dict=True)

    def proof(
        self, method: str, url: str, *, token: str | None = None, nonce: str | None = None, body: bytes | None = None
    ) -> str:
        """A proof for one request; with its ``token`` where there is one, over its ``body`` where it has one."""
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": urlunsplit(urlsplit(url)._replace(query="", fragment="")),
            "iat": int(time.time()),
        }
        if token is not None:
            claims["ath"] = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        if token is not None and body is not None:
            claims["content_digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        if nonce is not None:
            claims["nonce"] = nonce
        return _signed(claims, self._key, self.ALGORITHM, {"typ": "dpop+jwt", "jwk": dict(self._public)})


def _signed(claims: Mapping[str, Any], key: Any, algorithm: str, header: Mapping[str, Any]) -> str:
    library = _library()
    if algorithm not in {"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}:
        raise AuthorizationFailed(f"{algorithm} is no asymmetric signature algorithm that this client uses")
    try:
        token: str = library.encode(dict(claims), key, algorithm=algorithm, headers=dict(header) or None)
    except (library.PyJWTError, ValueError, TypeError) as error:
        raise AuthorizationFailed(f"the signing key can't be used for {algorithm}") from error
    return token


def _library() -> Any:
    try:
        importlib.import_module("cryptography")
        return importlib.import_module("jwt")
    except ImportError:
        raise AuthorizationFailed('signing needs the extra "auth": pip install "mcpkit[auth]"') from None

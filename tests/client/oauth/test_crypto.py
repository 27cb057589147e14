"""Signatures."""

from __future__ import annotations

import base64
import hashlib
import importlib
import time
from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth import crypto
from mcpkit.client.oauth.crypto import ProofKey, assertion

jwt = pytest.importorskip("jwt")


def pem() -> str:
    """A key of this test's own."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_assertions() -> None:
    """XAUTH-02: about itself, for one audience, for a short while, once."""
    key = pem()
    token = assertion("id", "https://a.example", key, "ES256")
    said = jwt.decode(token, options={"verify_signature": False})
    assert (said["iss"], said["sub"], said["aud"]) == ("id", "id", "https://a.example")
    assert 0 < said["exp"] - said["iat"] <= 300
    assert said["jti"] != jwt.decode(assertion("id", "x", key, "ES256"), options={"verify_signature": False})["jti"]


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256K", "nonsense"])
def test_only_asymmetric_signatures(algorithm: str) -> None:
    """TOK-07's mirror: a shared secret signs nothing."""
    with pytest.raises(AuthorizationFailed, match="asymmetric"):
        assertion("id", "x", pem(), algorithm)


@pytest.mark.parametrize("key", ["", "no key", "-----BEGIN" + " NOTHING-----"])
def test_keys_that_are_none(key: str) -> None:
    """Told without the key."""
    with pytest.raises(AuthorizationFailed, match="can't be used for ES256"):
        assertion("id", "x", key, "ES256")


def test_proofs() -> None:
    """XAUTH-07, RFC 9449 §4.2: signed by the key that stands in the header, over this request, once."""
    key = ProofKey()
    proof = key.proof("POST", "https://h.example/mcp?a=1#b", token="t", nonce="n", body=b"body")
    header = jwt.get_unverified_header(proof)
    assert (header["typ"], header["alg"]) == ("dpop+jwt", "ES256")
    assert "d" not in header["jwk"]
    public = jwt.PyJWK(header["jwk"]).key
    said = jwt.decode(proof, public, algorithms=["ES256"], options={"verify_aud": False})
    assert (said["htm"], said["htu"], said["nonce"]) == ("POST", "https://h.example/mcp", "n")
    assert abs(said["iat"] - time.time()) < 60
    assert said["ath"] == base64.urlsafe_b64encode(hashlib.sha256(b"t").digest()).rstrip(b"=").decode()
    assert said["content_digest"] == f"sha-256=:{base64.b64encode(hashlib.sha256(b'body').digest()).decode()}:"
    plain = jwt.decode(key.proof("GET", "https://h/"), options={"verify_signature": False})
    assert plain.keys() == {"jti", "htm", "htu", "iat"}


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is said; nothing else needs it."""
    real = importlib.import_module

    def missing(name: str, *args: Any) -> Any:
        if name == "jwt":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", missing)
    assert not crypto.available()
    with pytest.raises(AuthorizationFailed, match=r"pip install .mcpkit\[auth\]"):
        assertion("id", "x", "k", "ES256")

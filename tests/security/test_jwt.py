"""JWT access tokens, good and bad (TOK-02, TOK-03, TOK-07, STEST-08)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from time import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mcpkit.security.bearer import InvalidToken
from mcpkit.security.jwt import JwtVerifier, expiry_of, scopes_of
from mcpkit.security.resource import ProtectedResource

ISSUER = "https://login.example.com"
RESOURCE = ProtectedResource("https://mcp.example.com/api", [ISSUER])
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWK = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())), "kid": "k1"}


class Published:
    async def key(self, key_id: str | None) -> Mapping[str, Any]:
        if key_id != "k1":
            raise InvalidToken("unknown key")
        return JWK


VERIFIER = JwtVerifier(ISSUER, RESOURCE, Published())


def claims(**other: Any) -> dict[str, Any]:
    now = int(time())
    made = {
        "iss": ISSUER,
        "sub": "alice",
        "aud": RESOURCE.url,
        "exp": now + 60,
        "iat": now,
        "client_id": "cli",
        "scope": "a b",
    }
    return {name: value for name, value in {**made, **other}.items() if value is not None}


def token(key: Any = KEY, algorithm: str = "ES256", headers: Any = None, **other: Any) -> str:
    return jwt.encode(
        claims(**other), key, algorithm=algorithm, headers={"kid": "k1", "typ": "at+jwt", **(headers or {})}
    )


async def test_a_good_token_is_its_principal() -> None:
    """TOK-09: issuer, subject and client together."""
    principal = await VERIFIER.verify(token())
    assert principal.scopes == {"a", "b"}
    assert (principal.client_id, principal.claims["sub"]) == ("cli", "alice")
    assert principal != await VERIFIER.verify(token(client_id="other"))
    assert principal != await VERIFIER.verify(token(sub="bob"))


async def test_no_two_callers_are_one() -> None:
    """Whoever may choose a name of a user or of a client can't become another's."""
    pairs = [("a", "b\nc"), ("a\nb", "c"), ("a", None), ("a", ""), ("a", "null"), ("é", "c"), ("e\u0301", "c")]
    ids = [(await VERIFIER.verify(token(sub=sub, client_id=client))).id for sub, client in pairs]
    assert len(set(ids)) == len(pairs)
    assert (await VERIFIER.verify(token(client_id=None, azp="c"))).client_id == "c"


@pytest.mark.parametrize("client", [7, 0, False, ["cli"], {}, "\ud800"])
async def test_a_client_that_is_no_text_is_not_no_client(client: Any) -> None:
    for name in ("client_id", "azp"):
        with pytest.raises(InvalidToken, match="client"):
            await VERIFIER.verify(token(**{"client_id": None, name: client}))


def unsigned() -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': 'k1'})}.{part(claims())}."


BAD = {
    "another key": lambda: token(OTHER),
    "an unknown key id": lambda: token(headers={"kid": "k2"}),
    "no signature": unsigned,
    "a shared secret": lambda: token("s" * 32, "HS256"),
    "another algorithm's key": lambda: token(RSA_KEY, "RS256"),
    "an id token": lambda: token(headers={"typ": "id+jwt"}),
    "expired": lambda: token(exp=int(time()) - 3600),
    "not yet": lambda: token(nbf=int(time()) + 3600),
    "without end": lambda: token(exp=None),
    "another issuer": lambda: token(iss="https://evil.example"),
    "an issuer with a slash": lambda: token(iss=ISSUER + "/"),
    "another audience": lambda: token(aud="https://other.example/api"),
    "no audience": lambda: token(aud=None),
    "no subject": lambda: token(sub=None),
    "an empty subject": lambda: token(sub=""),
    "a number as subject": lambda: token(sub=5),
    "rubbish": lambda: "abc",
    "three dots": lambda: "a.b.c",
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
async def test_a_bad_token_lets_nobody_in_and_tells_nothing_of_itself(make: Any) -> None:
    bad = make()
    with pytest.raises(InvalidToken) as caught:
        await VERIFIER.verify(bad)
    assert bad not in str(caught.value)


def test_algorithms_that_confuse_keys_and_secrets_cannot_be_allowed() -> None:
    for algorithm in ("none", "HS256"):
        with pytest.raises(ValueError, match="can't be trusted"):
            JwtVerifier(ISSUER, RESOURCE, Published(), algorithms=[algorithm])


def test_scopes_come_as_text_or_list() -> None:
    assert scopes_of({"scope": "a  b"}) == {"a", "b"}
    assert scopes_of({"scp": ["a", 3]}) == {"a"}
    assert scopes_of({"scope": 3}) == scopes_of({}) == frozenset()


def test_an_expiry_beyond_every_clock_is_none() -> None:
    """Found by fuzzing: an integer that no float holds was an OverflowError."""
    assert expiry_of({"exp": 10**400}) is None
    assert expiry_of({"exp": -(10**400)}) == 0
    assert expiry_of({"exp": 12}) == 12
    assert expiry_of({"exp": True}) is None

"""Who calls, from where: Host and Origin, bearer tokens, the claims and keys of an issuer.

What must never stand here: HTTP.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mcpkit.security.bearer import InvalidToken, MalformedCredentials, VerifierUnavailable, bearer_token, challenge
from mcpkit.security.jwks import KeySet, parse_object
from mcpkit.security.jwt import JwtVerifier, principal_of
from mcpkit.security.keys import ApiKey, ApiKeys
from mcpkit.security.origin import OriginRules
from mcpkit.security.resource import ProtectedResource
from tests.fuzz.targets.target import Target, finish, parts

# ── Host and Origin ──────────────────────────────────────────────────────────────────────────────────────────────────

RULES = OriginRules(
    hosts=frozenset({"localhost", "127.0.0.1", "[::1]", "mcp.example.com:8443"}),
    origins=frozenset({"localhost", "127.0.0.1", "[::1]", "https://app.example.com"}),
)


def place(data: bytes) -> None:
    """Whatever is let in names one of the listed places to the standard library too, whole (NET-05, NET-06)."""
    text = data.decode("latin-1")
    fresh = OriginRules(RULES.hosts, RULES.origins)
    if fresh.host_allowed(text):
        parsed = urlsplit(f"//{text}")
        assert (parsed.path, parsed.query, parsed.fragment, parsed.username) == ("", "", "", None)
        host, port = parsed.hostname or "", parsed.port
        assert loopback(host) or (host, port) == ("mcp.example.com", 8443), text
    if fresh.origin_allowed(text):
        parsed = urlsplit(text)
        assert (parsed.path, parsed.query, parsed.fragment, parsed.username) == ("", "", "", None)
        assert parsed.scheme in {"http", "https"}
        mine = (parsed.scheme, parsed.hostname, parsed.port or 443) == ("https", "app.example.com", 443)
        assert mine or loopback(parsed.hostname or ""), text
    assert fresh.host_allowed(text) == RULES.host_allowed(text), "what it remembers changes the answer"
    assert fresh.origin_allowed(text) == RULES.origin_allowed(text)


def loopback(host: str) -> bool:
    return host == "localhost" or host in {"127.0.0.1", "::1"}


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def bearer(data: bytes) -> None:
    """A header holds one token, none, or is malformed; a challenge can't be broken out of (RS-08)."""
    text = data.decode("latin-1")
    try:
        token = bearer_token(text)
    except MalformedCredentials as error:
        assert len(text) < 20 or text not in str(error)
    else:
        assert token is None or (token and token in text and token.isascii() and " " not in token)
    said = challenge(text or None, scopes=[text], error=text, description=text)
    assert said.isascii()
    assert said.isprintable()
    quoted = re.fullmatch(r'Bearer(?: (?:\w+="(?:[^"\\]|\\.)*")(?:, \w+="(?:[^"\\]|\\.)*")*)?', said)
    assert quoted, said


ISSUER = "https://login.example.com"
RESOURCE = ProtectedResource("https://mcp.example.com/api", [ISSUER])
JWK: dict[str, Any] = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "k1",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


class Published:
    """One key, whoever asks."""

    async def key(self, key_id: str | None) -> Mapping[str, Any]:
        return JWK


VERIFIER = JwtVerifier(ISSUER, RESOURCE, Published())


def b64(value: Any) -> bytes:
    """One part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def token(data: bytes) -> None:
    """A token that nobody has signed is refused, in those words, whatever it holds (TOK-03)."""
    text = data.decode("latin-1")
    head, payload = parts(data, 2)
    made = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, payload, b"s" * 64)).decode()
    for presented in (text, made):
        for verifier in (VERIFIER, ApiKeys(NoKeys())):
            try:
                finish(verifier.verify(presented))
            except InvalidToken as error:
                assert presented not in str(error) or len(presented) < 8
            else:
                raise AssertionError("let somebody in")


class NoKeys:
    """A store of keys that holds one which nobody can have."""

    async def all(self) -> Mapping[str, ApiKey]:
        return {"x": ApiKey("x", "x", "0" * 64, (), 0.0)}

    async def put(self, key: ApiKey) -> None:
        raise AssertionError("a caller wrote to the keys")

    async def drop(self, id: str) -> None:
        raise AssertionError("a caller wrote to the keys")


def claims(data: bytes) -> None:
    """Claims name a caller or nobody; what is odd in them is left out (TOK-09)."""
    try:
        document = parse_object(data)
    except VerifierUnavailable:
        return
    RESOURCE.is_audience(document.get("aud"))
    try:
        principal = principal_of(ISSUER, document)
    except InvalidToken:
        return
    assert json.loads(principal.id)[0] == ISSUER
    assert all(isinstance(scope, str) and scope for scope in principal.scopes)
    assert principal.expires is None or isinstance(principal.expires, float)


def keys(data: bytes) -> None:
    """An issuer's document, whatever it holds, makes keys or nothing: nobody is let in by it, nothing breaks."""

    async def fetch(url: str) -> Mapping[str, Any]:
        return parse_object(data)

    for wanted in ("k1", None):
        try:
            key = finish(KeySet("https://login.example.com/jwks", fetch=fetch).key(wanted))
        except (InvalidToken, VerifierUnavailable):
            continue
        assert wanted is None or key["kid"] == wanted
        try:
            finish(JwtVerifier(ISSUER, RESOURCE, Given(key)).verify(UNSIGNED))
        except InvalidToken:
            continue
        raise AssertionError("let somebody in")


class Given:
    """This key."""

    def __init__(self, key: Mapping[str, Any]) -> None:
        self._key = key

    async def key(self, key_id: str | None) -> Mapping[str, Any]:
        return self._key


HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
CLAIMS = {"iss": ISSUER, "sub": "ada", "aud": RESOURCE.url, "exp": 9_999_999_999, "client_id": "c", "scope": "a b"}
UNSIGNED = (b64(HEADER) + b"." + b64(CLAIMS) + b"." + base64.urlsafe_b64encode(b"s" * 64).rstrip(b"=")).decode()
PLACES = (
    b"localhost",
    b"127.0.0.1:12000",
    b"[::1]:80",
    b"mcp.example.com:8443",
    b"https://app.example.com",
    b"http://localhost:3000",
    b"null",
    b"localhost.evil.example",
    b"a@localhost",
    b"http://[::1]",
    b"LOCALHOST:65535",
    b"[::ffff:127.0.0.1]",
    b"127.1",
    b"https://app.example.com.evil.example",
    b"http://localhost/",
)
TARGETS = (
    Target("place", place, PLACES, (b"://", b":", b"@", b"[", b"]", b"localhost", b"127.0.0.1", b"example.com"), 120),
    Target(
        "bearer", bearer, (b"Bearer abc.def==", b"bearer  x", b"Basic x", b'Bearer "a"', b"Bearer"), (b"Bearer ",), 300
    ),
    Target(
        "token",
        token,
        (UNSIGNED.encode(), json.dumps(HEADER).encode() + b"\n\n" + json.dumps(CLAIMS).encode(), b"a.b.c", b"mcpk_x_y"),
        (b'"alg":"none"', b'"HS256"', b'"kid":', b'"crit":["b64"]', b'"b64":false', b'"jwk":{}', b'"typ":', b'"exp":'),
    ),
    Target(
        "claims",
        claims,
        (
            json.dumps(CLAIMS).encode(),
            b'{"sub":"a","scp":["x",1],"exp":1e300,"aud":["http://[",1]}',
            b'{"sub":"a","exp":1%b}' % (b"0" * 400),
        ),
        (b'"scope":', b'"scp":', b'"exp":', b'"aud":', b'"sub":"a"', b'"azp":'),
    ),
    Target(
        "keys",
        keys,
        (
            json.dumps({"keys": [JWK]}).encode(),
            b'{"keys":[{"kid":"k1","kty":"RSA","n":"AQAB","e":"AQAB"}]}',
            b"{}",
            b'{"keys":7}',
        ),
        (b'"keys":', b'"kid":', b'"kty":"OKP"', b'"crv":"Ed25519"', b'"alg":', b'"use":"enc"', b'"k":"AA"'),
    ),
)

"""Bearer tokens at the gate: every refusal with its status and challenge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.jwks import KeySet
from mcpkit.security.jwt import JwtVerifier
from mcpkit.security.principal import Principal
from mcpkit.security.resource import ProtectedResource
from mcpkit.security.scopes import ScopeRules
from mcpkit.transports.asgi import Refused
from mcpkit.transports.authentication import Authentication

RESOURCE = ProtectedResource("https://mcp.example.com/api", ["https://login.example.com"])
METADATA = 'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/api"'

EXPIRED = "The token is not accepted: the token has expired"
UNREAD = "the Authorization header must be: Bearer <token>"


class Known:
    async def verify(self, token: str) -> Principal:
        if token == "away":
            raise VerifierUnavailable("secret-issuer did not answer")
        if not token.startswith("good"):
            raise InvalidToken("the token has expired")
        return Principal(token, frozenset(token.split("-")[1:]))


AUTHENTICATION = Authentication(Known(), resource=RESOURCE, scopes=["read"], rules=ScopeRules({"write": {"read"}}))


async def refusal(header: str | None, authentication: Authentication = AUTHENTICATION) -> Refused:
    with pytest.raises(Refused) as caught:
        await authentication({} if header is None else {"authorization": header})
    return caught.value


async def test_a_good_token_is_its_principal_with_all_it_amounts_to() -> None:
    """TOK-10."""
    principal = await AUTHENTICATION({"authorization": "Bearer good-write"})
    assert principal == Principal("good-write", frozenset({"read", "write"}))


@pytest.mark.parametrize(
    ("header", "status", "said"),
    [
        (None, 401, f'Bearer scope="read", {METADATA}'),
        ("Basic YTpi", 401, f'Bearer scope="read", {METADATA}'),
        ("Bearer old", 401, f'Bearer error="invalid_token", error_description="{EXPIRED}", scope="read", {METADATA}'),
        ("Bearer a b", 400, f'Bearer error="invalid_request", error_description="{UNREAD}", scope="read", {METADATA}'),
        ("Bearer good-other", 403, f'Bearer error="insufficient_scope", scope="read", {METADATA}'),
    ],
)
async def test_a_refusal_says_what_is_missing(header: str | None, status: int, said: str) -> None:
    """RS-02, RS-05, RS-07, TOK-02, STEP-01."""
    refused = await refusal(header)
    assert (refused.status, dict(refused.headers)[b"www-authenticate"].decode()) == (status, said)
    body = orjson.loads(refused.body)
    assert body["id"] is None
    assert body["error"]["message"]


async def test_while_nobody_can_tell_nobody_is_let_in() -> None:
    refused = await refusal("Bearer away")
    assert (refused.status, dict(refused.headers)[b"retry-after"]) == (503, b"5")
    assert b"secret-issuer" not in refused.body


async def test_an_issuer_whose_keys_cannot_be_had_makes_no_token_invalid() -> None:
    """The first token, and those that come before the issuer is asked again."""

    async def fetch(url: str) -> Mapping[str, Any]:
        raise VerifierUnavailable("the issuer did not answer")

    key = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode({"sub": "a"}, key, algorithm="ES256", headers={"kid": "k"})
    keys = KeySet("https://login.example.com/jwks", fetch=fetch)
    verifier = JwtVerifier("https://login.example.com", RESOURCE, keys)
    for _ in range(3):
        assert (await refusal(f"Bearer {token}", Authentication(verifier))).status == 503


async def test_without_a_resource_the_challenge_names_no_metadata() -> None:
    refused = await refusal(None, Authentication(Known()))
    assert dict(refused.headers) == {b"www-authenticate": b"Bearer"}


def test_an_operation_may_need_more() -> None:
    """STEP-02, STEP-03: all it needs, with the request's id."""
    refused = AUTHENTICATION.forbidden(["write", "admin"], id=7)
    assert refused.status == 403
    assert b'scope="admin read write"' in dict(refused.headers)[b"www-authenticate"]
    assert orjson.loads(refused.body)["id"] == 7

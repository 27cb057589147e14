"""Opaque tokens, checked by asking (RFC 7662)."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Any

import pytest

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.introspection import LIFETIME, REMEMBERED, IntrospectionVerifier, asking
from mcpkit.security.resource import ProtectedResource

ISSUER = "https://login.example.com"
RESOURCE = ProtectedResource("https://mcp.example.com/api", [ISSUER])


class Issuer:
    def __init__(self, **answer: Any) -> None:
        self.answer = {
            "active": True,
            "sub": "alice",
            "aud": RESOURCE.url,
            "scope": "a",
            "exp": time() + 3600,
            **answer,
        }
        self.asked, self.now = 0, 0.0

    async def ask(self, token: str) -> Mapping[str, Any]:
        self.asked += 1
        return self.answer

    def verifier(self) -> IntrospectionVerifier:
        return IntrospectionVerifier(ISSUER, RESOURCE, self.ask, now=lambda: self.now)


async def test_an_active_token_is_asked_about_once_in_a_while() -> None:
    """TOK-07: a short memory."""
    issuer = Issuer()
    verifier = issuer.verifier()
    assert (await verifier.verify("t")).scopes == {"a"}
    await verifier.verify("t")
    assert issuer.asked == 1
    issuer.now += LIFETIME + 1
    issuer.answer["active"] = False
    with pytest.raises(InvalidToken):
        await verifier.verify("t")


@pytest.mark.parametrize(
    "answer",
    [
        {"active": False},
        {"active": "true"},
        {"exp": time() - 1},
        {"aud": "https://other"},
        {"aud": None},
        {"iss": "https://evil"},
        {"sub": None},
    ],
    ids=str,
)
async def test_a_token_that_is_not_for_us_lets_nobody_in(answer: Any) -> None:
    """TOK-02, TOK-03."""
    with pytest.raises(InvalidToken):
        await Issuer(**answer).verifier().verify("t")


async def test_the_memory_is_bounded() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    for number in range(REMEMBERED + 10):
        await verifier.verify(f"t{number}")
    assert len(verifier._known) <= REMEMBERED


async def test_an_issuer_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(VerifierUnavailable):
        await asking("http://127.0.0.1:9/introspect", "id", "secret")("t")


@pytest.mark.parametrize("answer", [{}, {"error": "temporarily_unavailable"}, {"sub": "alice"}])
async def test_an_answer_that_says_nothing_of_the_token_is_none(answer: Mapping[str, Any]) -> None:
    async def ask(token: str) -> Mapping[str, Any]:
        return answer

    with pytest.raises(VerifierUnavailable):
        await IntrospectionVerifier(ISSUER, RESOURCE, ask).verify("t")

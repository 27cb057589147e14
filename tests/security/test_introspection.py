"""Opaque tokens, checked by asking (RFC 7662)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import time
from typing import Any

import httpx
import pytest

from mcpkit import Server
from mcpkit.fastapi import create_app
from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.introspection import (
    LIFETIME,
    MOST_QUESTIONS,
    REFUSED_LIFETIME,
    REMEMBERED,
    IntrospectionVerifier,
    asking,
)
from mcpkit.security.resource import ProtectedResource
from mcpkit.settings import Settings
from mcpkit.transports.authentication import Authentication

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
    for _ in range(5):
        with pytest.raises(InvalidToken, match="expired or was revoked"):
            await verifier.verify("t")
    assert issuer.asked == 2
    issuer.now += REFUSED_LIFETIME + 1
    issuer.answer["active"] = True
    assert (await verifier.verify("t")).scopes == {"a"}
    assert issuer.asked == 3


async def test_invented_tokens_leave_the_known_ones_in_memory() -> None:
    issuer = Issuer()
    verifier = issuer.verifier()
    await verifier.verify("t")
    issuer.answer["active"] = False
    for number in range(REMEMBERED + 10):
        with pytest.raises(InvalidToken):
            await verifier.verify(f"t{number}")
    asked = issuer.asked
    await verifier.verify("t")
    assert issuer.asked == asked
    assert len(verifier._refused) <= REMEMBERED


class Slow(Issuer):
    """Answers when it is told to."""

    def __init__(self, **answer: Any) -> None:
        super().__init__(**answer)
        self.gate, self.open, self.most = asyncio.Event(), 0, 0

    async def ask(self, token: str) -> Mapping[str, Any]:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            await self.gate.wait()
            return await super().ask(token)
        finally:
            self.open -= 1


async def test_questions_at_once_are_bounded() -> None:
    """A hundred invented tokens: some are asked about, of the others nobody can tell; then there is room again."""
    issuer = Slow(active=False)
    verifier = issuer.verifier()
    tries = [asyncio.ensure_future(verifier.verify(f"t{number}")) for number in range(100)]
    await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
    issuer.gate.set()
    found = await asyncio.gather(*tries, return_exceptions=True)
    kinds = [type(each) for each in found]
    assert kinds == [InvalidToken] * MOST_QUESTIONS + [VerifierUnavailable] * (100 - MOST_QUESTIONS)
    assert (issuer.asked, issuer.most) == (MOST_QUESTIONS, MOST_QUESTIONS)
    issuer.answer["active"] = True
    assert (await verifier.verify("good")).scopes == {"a"}


async def test_one_token_is_asked_about_once_at_a_time() -> None:
    """Whoever stops waiting takes the answer from nobody."""
    issuer = Slow()
    verifier = issuer.verifier()
    tries = [asyncio.ensure_future(verifier.verify("t")) for _ in range(100)]
    await asyncio.sleep(0)
    tries[0].cancel()
    issuer.gate.set()
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert {each.scopes for each in found[1:]} == {frozenset("a")}
    assert issuer.asked == 1


async def test_what_the_issuer_did_not_answer_is_asked_again() -> None:
    issuer = Issuer()
    del issuer.answer["active"]
    verifier = issuer.verifier()
    for _ in range(2):
        with pytest.raises(VerifierUnavailable):
            await verifier.verify("t")
    assert issuer.asked == 2


async def test_too_many_questions_are_503() -> None:
    """Over HTTP, from an application with authentication: nobody can tell, so it says to try again."""
    issuer = Slow(active=False)
    app = create_app(Server("x", "1"), Settings(), authenticate=Authentication(issuer.verifier()))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:12000") as client:

        async def post(number: int) -> httpx.Response:
            headers = {"Authorization": f"Bearer t{number}", "Accept": "application/json, text/event-stream"}
            return await client.post("/api", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)

        tries = [asyncio.ensure_future(post(number)) for number in range(MOST_QUESTIONS + 8)]
        await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
        issuer.gate.set()
        answers = await asyncio.gather(*tries)
        again = await post(0)
    assert sorted(answer.status_code for answer in answers) == [401] * MOST_QUESTIONS + [503] * 8
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 503)
    assert (again.status_code, issuer.asked) == (401, MOST_QUESTIONS)


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

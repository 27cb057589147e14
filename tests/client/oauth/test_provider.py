"""Authorization as a client has it, end to end."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcpkit.client import MCPClient
from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.http import HttpRequest
from mcpkit.client.http_lanes import LaneCarrier
from mcpkit.client.oauth import (
    ClientCredentials,
    CustomRedirect,
    FileStore,
    MemoryStore,
    OAuth,
    Registration,
    Rules,
)
from mcpkit.client.oauth.grants import AuthorizationCode
from tests.client.oauth.realm import REDIRECT, Realm, ask, claims
from tests.client.scripted import Asked, Reply, Rows, http_peer, modern_script, soon, until


@asynccontextmanager
async def realm(**knobs: Any) -> AsyncIterator[Realm]:
    made = Realm()
    for name, value in knobs.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    async with http_peer(made) as peer:
        made.url = peer.url
        yield made


async def test_the_whole_flow() -> None:
    """FLOW-01 to FLOW-03, FLOW-08, REG-04, REG-05: challenge, metadata, registration, consent, token, the request."""
    async with realm(challenge_scope="notes:read") as r:
        assert (await ask(r.url, OAuth(r.grant()))).status == 200
        (visit,), (form,) = r.visits, r.forms
        assert (
            visit.items()
            >= {
                "response_type": "code",
                "client_id": "client1",
                "redirect_uri": REDIRECT,
                "code_challenge_method": "S256",
                "resource": r.url,
                "scope": "notes:read",
            }.items()
        )
        assert len(visit["state"]) >= 22
        assert r.proves(form, visit)
        assert 43 <= len(form["code_verifier"]) <= 128
        assert form.items() >= {"grant_type": "authorization_code", "code": "c0de", "redirect_uri": REDIRECT}.items()
        assert form["resource"] == r.url
        assert r.registrations[0]["application_type"] == "native"
        assert "refresh_token" in r.registrations[0]["grant_types"]


async def test_a_token_is_used_until_it_is_refused() -> None:
    """One consent for many requests; a refused token is renewed without the user (FLOW-10)."""
    async with realm() as r:
        auth = OAuth(r.grant())
        for _ in range(3):
            await ask(r.url, auth)
        assert len(r.forms) == 1
        r.valid.clear()
        assert (await ask(r.url, auth)).status == 200
        assert (
            r.forms[1].items()
            >= {"grant_type": "refresh_token", "refresh_token": "refresh1", "resource": r.url}.items()
        )
        assert len(r.visits) == 1
        r.valid.clear()
        r.refresh_tokens.clear()
        assert (await ask(r.url, auth)).status == 200
        assert len(r.visits) == 2, "and with the user when that fails"


async def test_a_token_about_to_expire_is_renewed_before() -> None:
    """FLOW-10: without a refused request."""
    async with realm(expires_in=20) as r:
        auth = OAuth(r.grant())
        await ask(r.url, auth)
        refused = r.seen["/mcp"]
        r.expires_in = 3600
        await ask(r.url, auth)
        assert r.forms[1]["grant_type"] == "refresh_token"
        assert r.seen["/mcp"] == refused + 1


async def test_many_requests_wait_for_one_flow() -> None:
    """FLOW-12: and one that stops waiting does not stop it."""
    go, visits = asyncio.Event(), 0

    async with realm() as r:

        async def slow(url: str) -> str:
            nonlocal visits
            visits += 1
            await go.wait()
            return await r.consent(url)

        auth = OAuth(AuthorizationCode(redirect=CustomRedirect(REDIRECT, slow)))
        tasks = [asyncio.create_task(ask(r.url, auth)) for _ in range(20)]
        await until(lambda: r.seen["/mcp"] == 20 and visits)
        tasks[0].cancel()
        go.set()
        done = await soon(asyncio.gather(*tasks[1:]))
        assert {answer.status for answer in done} == {200}
        assert (visits, len(r.forms)) == (1, 1)


async def test_a_user_may_take_longer_than_a_call() -> None:
    """While someone signs in, no deadline of a call or of the handshake runs."""
    rows: Rows = {"tools/list": lambda _: {"tools": []}}
    serve = modern_script(rows)
    async with realm() as r:
        original = r._mcp

        async def guarded(asked: Asked, reply: Reply) -> None:
            if asked.headers.get("authorization", "").partition(" ")[2] in r.valid:
                await serve(asked, reply)
            else:
                await original(asked, reply)

        r._mcp = guarded  # type: ignore[method-assign]

        async def thinks(url: str) -> str:
            await asyncio.sleep(0.3)
            return await r.consent(url)

        auth = OAuth(AuthorizationCode(redirect=CustomRedirect(REDIRECT, thinks)))
        async with MCPClient(r.url, auth=auth, timeout=0.2, init_timeout=0.2) as client:
            assert await soon(client.list_tools()) == []


# ── scopes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("challenged", "published", "configured", "asked"),
    [
        ("a b", ["x"], ("c",), "a b"),
        ("", ["x", "y"], ("c",), "x y"),
        ("", [], ("c",), "c"),
        ("", None, (), None),
    ],
)
async def test_the_first_scopes(
    challenged: str, published: Any, configured: tuple[str, ...], asked: str | None
) -> None:
    """STEP-04, STEP-08: the challenge, else all that is published, else what was configured, else none."""
    resource = {} if published is None else {"scopes_supported": published}
    async with realm(challenge_scope=challenged, resource=resource) as r:
        await ask(r.url, OAuth(r.grant(), rules=Rules(scopes=configured)))
        assert r.visits[0].get("scope") == asked


@pytest.mark.parametrize(
    ("listed", "asked"), [(["offline_access", "a"], "a offline_access"), (["a"], "a"), (None, "a")]
)
async def test_lasting_access_where_it_is_offered(listed: list[str] | None, asked: str) -> None:
    """REG-05: only if the authorization server lists it; never for a program that can always ask anew."""
    async with realm(challenge_scope="a", server={"scopes_supported": listed}) as r:
        await ask(r.url, OAuth(r.grant()))
        assert r.visits[0]["scope"] == asked
        await ask(r.url, OAuth(ClientCredentials("id", secret="s")))
        assert r.forms[-1]["scope"] == "a"


async def test_more_access_is_asked_with_what_there_was() -> None:
    """STEP-01, STEP-05, STEP-06: the union, by the user's consent, not by a refresh."""
    async with realm(challenge_scope="read") as r:
        auth = OAuth(r.grant())
        await ask(r.url, auth)
        r.needed = {"write"}
        r.granted["token2"] = {"write"}
        original = r._token

        async def token(asked: Asked, reply: Reply) -> None:
            await original(asked, reply)
            r.granted[f"token{len(r.forms)}"] = set(r.visits[-1]["scope"].split())

        r._token = token  # type: ignore[method-assign]
        assert (await ask(r.url, auth)).status == 200
        assert [visit["scope"] for visit in r.visits] == ["read", "read write"]
        assert [form["grant_type"] for form in r.forms] == ["authorization_code"] * 2


async def test_a_server_that_is_never_content() -> None:
    """STEP-07: three consents at most, later requests none."""
    async with realm() as r:
        r.needed = {"never"}
        auth = OAuth(r.grant())
        for _ in range(3):
            with pytest.raises(AuthorizationFailed, match="more access: never"):
                await ask(r.url, auth)
        assert len(r.visits) == 3


async def test_a_server_that_refuses_every_token() -> None:
    """Attempts of one request are bounded."""
    async with realm() as r:
        original = r._token

        async def worthless(asked: Asked, reply: Reply) -> None:
            await original(asked, reply)
            r.valid.clear()
            r.refresh_tokens.clear()

        r._token = worthless  # type: ignore[method-assign]
        with pytest.raises(AuthorizationFailed, match="refuses these credentials"):
            await ask(r.url, OAuth(r.grant()))
        assert len(r.visits) <= 4


async def test_other_refusals_are_no_challenge() -> None:
    """A 403 without insufficient_scope has nothing to do with tokens."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(403, b"bad origin")

    async with http_peer(script) as peer:
        with pytest.raises(AuthorizationFailed):
            await ask(peer.url, OAuth(Realm().grant()))
        assert len(peer.asked) == 1


# ── issuers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_moves_to_another_issuer() -> None:
    """ADIS-07, REG-06, FLOW-09: nothing of the old one's is shown to the new one."""
    async with realm() as old, realm() as new:
        auth = OAuth(old.grant())
        await ask(old.url, auth)
        new.resource = {}
        old.resource = {"authorization_servers": [new.issuer]}
        old.valid.clear()
        old.returned = {"iss": new.issuer}
        new_token = new._token

        async def token(asked: Asked, reply: Reply) -> None:
            await new_token(asked, reply)
            old.valid |= new.valid

        new._token = token  # type: ignore[method-assign]
        assert (await ask(old.url, auth)).status == 200
        assert new.forms[0]["grant_type"] == "authorization_code"
        assert len(new.registrations) == 1
        assert new.visits == []
        assert [form["grant_type"] for form in old.forms] == ["authorization_code"], "nor is the old token refreshed"


async def test_credentials_are_for_one_issuer() -> None:
    """REG-06: what is registered beforehand is told, not shown, when the server names another."""
    async with realm() as r:
        for grant in (
            ClientCredentials("id", secret="s", issuer="https://login.example"),
            r.grant(Registration("id", "s", issuer="https://login.example")),
        ):
            with pytest.raises(AuthorizationFailed, match="another issuer"):
                await ask(r.url, OAuth(grant))
        assert r.forms == []


async def test_of_several_issuers_the_known_one_is_taken() -> None:
    """ADIS-02."""
    async with realm() as r:
        r.resource = {"authorization_servers": ["https://login.invalid", r.issuer]}
        grant = ClientCredentials("id", secret="s", issuer=r.issuer)
        assert (await ask(r.url, OAuth(grant))).status == 200


async def test_what_is_stored_is_used_again(tmp_path: Path) -> None:
    """REG-06, TOK-11: by issuer and server, in a file of the owner's only; the user is not asked twice."""
    path = tmp_path / "deep" / "tokens.json"
    async with realm() as r:
        await ask(r.url, OAuth(r.grant(), store=FileStore(path)))
        assert path.stat().st_mode & 0o077 == 0
        assert (await ask(r.url, OAuth(r.grant(), store=FileStore(path)))).status == 200
        r.valid.clear()
        assert (await ask(r.url, OAuth(r.grant(), store=FileStore(path)))).status == 200
        assert (len(r.visits), len(r.registrations)) == (1, 1)
        assert [form["grant_type"] for form in r.forms] == ["authorization_code", "refresh_token"]


async def test_tokens_go_home_only() -> None:
    """FLOW-13: a request elsewhere, by whatever mistake, carries none."""
    async with realm() as r:
        auth = OAuth(r.grant())
        await ask(r.url, auth)
        assert "Authorization" in await auth.headers(HttpRequest("POST", r.url, {}))
        assert await auth.headers(HttpRequest("POST", "http://evil.example/mcp", {})) == {}


# ── bound tokens ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tokens_bound_to_a_key() -> None:
    """XAUTH-07: proofs at the token endpoint and on every request, each new, with the nonces that are wanted."""
    pytest.importorskip("jwt")
    async with realm(dpop=True, server={"dpop_signing_alg_values_supported": ["ES256"]}, nonces={"/token": "n1"}) as r:
        proofs: list[str] = []
        original = r._mcp
        wants = ["m1"]

        async def mcp(asked: Asked, reply: Reply) -> None:
            if "dpop" in asked.headers:
                proofs.append(asked.headers["dpop"])
                if claims(proofs[-1]).get("nonce") != wants[0]:
                    await reply.send(401, www_authenticate='DPoP error="use_dpop_nonce"', dpop_nonce=wants[0])
                    return
            await original(asked, reply)

        r._mcp = mcp  # type: ignore[method-assign]
        auth = OAuth(r.grant())
        assert (await ask(r.url, auth)).status == 200
        assert (await ask(r.url, auth)).status == 200
        said = [claims(proof) for proof in proofs]
        assert len({one["jti"] for one in said}) == len(said) == 3
        assert all((one["htm"], one["htu"]) == ("POST", r.url) for one in said)
        assert all("ath" in one and one["content_digest"].startswith("sha-256=:") for one in said)
        at_token = [claims(headers["dpop"]) for headers in r.token_headers]
        assert [one.get("nonce") for one in at_token] == [None, "n1"]
        assert "ath" not in at_token[0]
        assert abs(at_token[0]["iat"] - time.time()) < 60


async def test_a_server_that_always_wants_another_nonce() -> None:
    """Bounded, however new each one is."""
    pytest.importorskip("jwt")
    async with realm(dpop=True, server={"dpop_signing_alg_values_supported": ["ES256"]}) as r:
        count = 0

        async def mcp(asked: Asked, reply: Reply) -> None:
            nonlocal count
            count += 1
            await reply.send(401, www_authenticate='DPoP error="use_dpop_nonce"', dpop_nonce=f"n{count}")

        r._mcp = mcp  # type: ignore[method-assign]
        with pytest.raises(AuthorizationFailed):
            await ask(r.url, OAuth(r.grant()))
        assert count <= 5


@pytest.mark.parametrize(
    ("rule", "offered", "bound"), [(False, ["ES256"], False), (None, ["RS256"], False), (True, [], True)]
)
async def test_binding_by_rule(rule: bool | None, offered: list[str], bound: bool) -> None:
    """Where it is offered, unless it was forbidden or demanded."""
    pytest.importorskip("jwt")
    async with realm(server={"dpop_signing_alg_values_supported": offered}) as r:
        await ask(r.url, OAuth(r.grant(), rules=Rules(dpop=rule)))
        assert ("dpop" in r.token_headers[0]) is bound


async def test_a_bound_token_is_worth_nothing_without_its_key() -> None:
    """The key is never stored, so the token of an earlier run is not used."""
    pytest.importorskip("jwt")
    store = MemoryStore()
    async with realm(dpop=True, server={"dpop_signing_alg_values_supported": ["ES256"]}) as r:
        await ask(r.url, OAuth(r.grant(), store=store))
        await ask(r.url, OAuth(r.grant(), store=store))
        assert len(r.forms) == 2
        assert "authorization" not in r.token_headers[1] or r.token_headers[1]["authorization"].startswith("Basic")


async def test_an_http_client_of_the_application() -> None:
    """It is used for discovery too, and stays open."""
    carrier = LaneCarrier()
    async with realm() as r:
        auth = OAuth(r.grant(), http=carrier)
        assert (await ask(r.url, auth)).status == 200
        assert not carrier._closed
        assert auth.context() != OAuth().context()
        await carrier.close()


async def test_basic_authentication_is_encoded() -> None:
    """REG-08, RFC 6749 §2.3.1: name and secret are form-encoded before they are joined."""
    async with realm() as r:
        await ask(r.url, OAuth(r.grant()))
        basic = base64.b64decode(r.token_headers[0]["authorization"].removeprefix("Basic ")).decode()
        assert basic == "client1:s%3A%2F%C3%A9"


def test_nothing_secret_is_shown() -> None:
    """TOK-11: representations end up in logs."""
    from mcpkit.client.oauth import Tokens

    assert "hush" not in repr(Tokens("hush", refresh_token="hush"))
    assert "hush" not in repr(replace(Registration("id"), client_secret="hush"))

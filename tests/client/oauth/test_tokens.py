"""Tokens, registrations, and where they are kept."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.tokens import FileStore, MemoryStore, Registration, Tokens, TokenStore, Vault
from tests.client.scripted import soon


def test_what_a_token_endpoint_gives() -> None:
    """Types without case, scopes that were asked for or granted, an end that is known or not."""
    tokens = Tokens.parse(
        {"access_token": "a", "token_type": "bEaReR", "expires_in": 3600, "refresh_token": "r", "scope": "y z"},
        ("x", "y"),
    )
    assert (tokens.token_type, tokens.refresh_token, tokens.scopes) == ("Bearer", "r", ("x", "y", "z"))
    assert not tokens.expired
    assert Tokens.parse({"access_token": "a", "token_type": "dpop"}, ()).token_type == "DPoP"
    assert Tokens.parse({"access_token": "a", "expires_in": "soon", "refresh_token": 5}, ()) == Tokens("a")
    assert Tokens("a", expires_at=time.time() + 5).expired, "before an answer comes, it would be"
    assert not Tokens("a").expired


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": 5},
        {"access_token": ""},
        {"access_token": "a\r\nb"},
        {"access_token": "a", "token_type": "mac"},
    ],
)
def test_what_is_no_token(answer: dict[str, Any]) -> None:
    """Nothing is sent that is none, nor what would break a header."""
    with pytest.raises(AuthorizationFailed):
        Tokens.parse(answer, ())


def test_a_refresh_may_keep_the_refresh_token() -> None:
    """REG-05."""
    old = Tokens("a", refresh_token="r1")
    assert old.renewed(Tokens("b")).refresh_token == "r1"
    assert old.renewed(Tokens("b", refresh_token="r2")).refresh_token == "r2"


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "t.json")


async def test_stores(store: TokenStore) -> None:
    """Kept, found, forgotten; forgetting twice is no fault."""
    assert await store.load("k") is None
    await store.save("k", {"a": "é"})
    await store.save("l", {"b": 1})
    assert await store.load("k") == {"a": "é"}
    await store.remove("k")
    await store.remove("k")
    assert await store.load("k") is None
    assert await store.load("l") == {"b": 1}


async def test_the_vault(store: TokenStore) -> None:
    """REG-06: tokens by issuer and server, registrations by issuer."""
    vault, other = Vault(store, "https://h/mcp"), Vault(store, "https://h/other")
    tokens = Tokens("a", refresh_token="r", expires_at=5.0, scopes=("x",))
    await vault.keep_tokens("https://a", tokens)
    assert await vault.tokens("https://a") == tokens
    assert await vault.tokens("https://b") is None
    assert await other.tokens("https://a") is None
    assert (await vault.issuer(), await other.issuer()) == ("https://a", None)
    await vault.forget_tokens("https://a")
    assert await vault.tokens("https://a") is None
    registration = Registration("id", "s", "none", "https://a", "http://127.0.0.1/cb")
    await vault.keep_registration("https://a", registration)
    assert await other.registration("https://a") == registration
    await other.forget_registration("https://a")
    assert await vault.registration("https://a") is None


async def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """TOK-11: of its owner only; many at once lose nothing; a broken file is an empty one."""
    path = tmp_path / "t.json"
    path.write_text("{broken")
    store = FileStore(path)
    assert await store.load("k") is None
    await soon(asyncio.gather(*(store.save(f"k{n}", {"n": n}) for n in range(20))))
    assert len(json.loads(path.read_text())) == 20
    assert path.stat().st_mode & 0o077 == 0
    assert os.listdir(tmp_path) == ["t.json"]
    with pytest.raises(TypeError):
        await store.save("bad", {"x": object()})
    assert os.listdir(tmp_path) == ["t.json"]
    path.write_text("[]")
    assert await store.load("k1") is None

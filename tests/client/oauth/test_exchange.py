"""Small requests to authorization servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.http_lanes import LaneCarrier
from mcpkit.client.oauth import exchange
from mcpkit.client.oauth.exchange import Exchanges, Reply
from mcpkit.client.oauth.guard import Guard
from tests.client.scripted import Asked, HttpPeer, http_peer, soon
from tests.client.scripted import Reply as Answer

PAGES: dict[str, tuple[int, Any, dict[str, str]]] = {
    "/json": (200, {"a": 1}, {}),
    "/error": (400, {"error": "invalid_grant", "error_description": "secret words"}, {}),
    "/page": (200, b'{"a": 1}', {"content_type": "text/html"}),
    "/broken": (200, b"{", {"content_type": "application/json"}),
    "/list": (200, [1], {}),
    "/large": (200, b"x" * 300_000, {}),
    "/redirect": (302, b"", {"location": "http://169.254.169.254/"}),
}


async def script(asked: Asked, reply: Answer) -> None:
    if asked.target == "/slow":
        await reply.gone()
    elif asked.target in PAGES:
        status, body, headers = PAGES[asked.target]
        await reply.send(status, body, **headers)


@asynccontextmanager
async def exchanges() -> AsyncIterator[tuple[Exchanges, HttpPeer]]:
    async with http_peer(script) as peer:
        carrier = LaneCarrier()
        yield Exchanges(carrier, Guard(peer.url)), peer
        await carrier.close()


async def test_requests() -> None:
    """Documents, JSON, forms."""
    async with exchanges() as (made, peer):
        base = peer.url.removesuffix("/mcp")
        reply = await soon(made.get(f"{base}/json", "it"))
        assert (reply.status, reply.ok, reply.json) == (200, True, {"a": 1})
        await soon(made.post_json(f"{base}/json", "it", {"b": 2}))
        assert peer.asked[-1].body == b'{"b":2}'
        await soon(made.post_form(f"{base}/json", "it", {"c": "d e&"}, {"X": "1"}))
        assert (peer.asked[-1].form, peer.asked[-1].headers["x"]) == ({"c": "d e&"}, "1")


async def test_answers_of_every_kind() -> None:
    """OCLI-04, OCLI-06: JSON objects only, bounded; a redirect is an answer like another, never followed."""
    async with exchanges() as (made, peer):
        base = peer.url.removesuffix("/mcp")
        for path, status, error in (
            ("/error", 400, "invalid_grant"),
            ("/page", 200, "HTTP 200"),
            ("/broken", 200, "HTTP 200"),
            ("/list", 200, "HTTP 200"),
            ("/redirect", 302, "HTTP 302"),
            ("/missing", 404, "HTTP 404"),
        ):
            reply = await soon(made.get(base + path, "it"))
            assert (reply.status, reply.error) == (status, error)
            assert "secret" not in reply.error
        with pytest.raises(AuthorizationFailed, match=r"it: .* larger"):
            await soon(made.get(f"{base}/large", "it"))


async def test_trouble_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait is bounded, every failure is one of authorization."""
    monkeypatch.setattr(exchange, "_SECONDS", 0.05)
    async with exchanges() as (made, peer):
        with pytest.raises(AuthorizationFailed, match="in time"):
            await soon(made.get(peer.url.replace("/mcp", "/slow"), "it"))
    with pytest.raises(AuthorizationFailed, match=r"it: .*(reached|closed)"):
        await soon(made.get(peer.url, "it"))


async def test_no_url_is_asked_unchecked() -> None:
    """OCLI-07."""
    async with exchanges() as (made, _):
        for url in ("http://203.0.114.1/", "javascript:x", None, 5):
            with pytest.raises(AuthorizationFailed):
                await soon(made.allowed(url, "it"))
        with pytest.raises(AuthorizationFailed):
            await soon(made.get("ftp://h/", "it"))


@pytest.mark.parametrize("code", [5, "x" * 100, "a\x1b[2J", None, ["a"]])
def test_error_codes_are_fit_to_be_shown(code: object) -> None:
    """A terminal is not at a stranger's mercy."""
    assert Reply(400, {}, {"error": code}).error == "HTTP 400"

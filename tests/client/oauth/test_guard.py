"""Which URLs of strangers are asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.guard import Guard
from tests.client.scripted import soon

OUTSIDE = "https://203.0.114.1/mcp"
INSIDE = "https://10.1.2.3/mcp"
PRIVATE = [
    "https://10.0.0.1/x",
    "https://172.16.5.5/x",
    "https://192.168.1.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://127.0.0.1/x",
    "http://127.0.0.1/x",
    "https://0.0.0.0/x",
    "https://100.64.0.1/x",
    "https://224.0.0.1/x",
    "https://[::1]/x",
    "https://[fc00::1]/x",
    "https://[fe80::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[64:ff9b::a00:1]/x",
    "https://[2002:a00:1::]/x",
    "https://localhost/x",
]


@pytest.mark.parametrize("url", PRIVATE)
async def test_a_server_outside_points_nobody_inside(url: str) -> None:
    """OCLI-01, OCLI-03, STEST-07: in whatever notation; a server that is inside itself may, and so may who says so."""
    with pytest.raises(AuthorizationFailed, match="public internet"):
        await soon(Guard(OUTSIDE).check(url, "x"))
    assert await soon(Guard(INSIDE).check(url, "x")) == url
    assert await soon(Guard(OUTSIDE, inward=True).check(url, "x")) == url
    assert await soon(Guard(OUTSIDE).inward().check(url, "x")) == url


@pytest.mark.parametrize("url", ["https://203.0.114.9/x", "https://[2600::1]/x"])
async def test_the_public_internet(url: str) -> None:
    """From anywhere, unless told otherwise."""
    assert await soon(Guard(OUTSIDE).check(url, "x")) == url
    assert await soon(Guard(OUTSIDE, inward=False).check(url, "x")) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://203.0.114.9/x",
        "http://10.0.0.1/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:,x",
        "https://",
        "/x",
    ],
)
async def test_only_https(url: str) -> None:
    """OCLI-02, OCLI-07, FLOW-11: plain http on this machine only."""
    for guard in (Guard(OUTSIDE), Guard(INSIDE), Guard(INSIDE, inward=True)):
        with pytest.raises(AuthorizationFailed, match="what it is is refused"):
            await soon(guard.check(url, "what it is"))


async def test_names_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """OCLI-03: a name is as private as any of its addresses; one that nobody knows harms nobody."""
    known: dict[str, list[str]] = {"mixed.example": ["203.0.114.1", "10.0.0.1"], "public.example": ["203.0.114.1"]}

    async def getaddrinfo(host: str, *args: Any, **options: Any) -> list[Any]:
        if host not in known:
            raise OSError("no such host")
        return [(None, None, None, None, (address, 0)) for address in known[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    guard = Guard("https://public.example/mcp")
    assert await soon(guard.check("https://public.example/x", "x"))
    assert await soon(guard.check("https://unknown.example/x", "x"))
    with pytest.raises(AuthorizationFailed):
        await soon(guard.check("https://mixed.example/x", "x"))

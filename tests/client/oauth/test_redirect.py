"""How the user's consent comes back."""

from __future__ import annotations

import asyncio
import webbrowser
from typing import Any
from urllib.parse import urlsplit

import pytest

from mcpkit.client.errors import AuthorizationFailed, Timeout
from mcpkit.client.oauth.redirect import CustomRedirect, LoopbackRedirect
from tests.client.scripted import soon


async def get(url: str, raw: bytes | None = None) -> bytes:
    """What a browser would get."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    writer.write(raw if raw is not None else f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_visit() -> None:
    """OCLI-12: on this machine only, an unguessable path, one answer, nothing shown that was sent."""
    shown: list[str] = []
    async with LoopbackRedirect(show=shown.append).open() as consent:
        parts = urlsplit(consent.redirect_uri)
        assert (parts.scheme, parts.hostname) == ("http", "127.0.0.1")
        assert len(parts.path) > 20
        asking = asyncio.create_task(consent.ask("https://a.example/authorize?x=1"))
        assert b"404" in await soon(get(f"http://127.0.0.1:{parts.port}/favicon.ico"))
        assert b"404" in await soon(get(consent.redirect_uri, b"\xff\xfe nonsense"))
        page = await soon(get(f"{consent.redirect_uri}?code=%3Cscript%3E&state=s"))
        assert b"200 OK" in page
        assert b"script" not in page
        assert b"no-store" in page
        assert (await soon(asking)).endswith("?code=%3Cscript%3E&state=s")
        assert b"404" in await soon(get(f"{consent.redirect_uri}?code=second"))
        assert shown == ["https://a.example/authorize?x=1"]
    with pytest.raises(OSError):  # noqa: PT011 - refused, in whatever words
        await soon(get(consent.redirect_uri))


async def test_every_visit_has_its_own_place() -> None:
    """Unless one was registered beforehand."""
    redirect = LoopbackRedirect(show=print)
    async with redirect.open() as one, redirect.open() as two:
        assert one.redirect_uri != two.redirect_uri
    async with LoopbackRedirect(path="/callback", show=print).open() as fixed:
        assert urlsplit(fixed.redirect_uri).path == "/callback"


async def test_nobody_comes() -> None:
    """Every wait is bounded."""
    async with LoopbackRedirect(seconds=0.02, show=lambda _: None).open() as consent:
        with pytest.raises(Timeout, match="nobody came back"):
            await soon(consent.ask("https://a.example/"))


async def test_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """OCLI-08: the platform's own way; where there is none, what to do is said."""
    opened: list[str] = []

    def opens(url: str, *args: Any) -> bool:
        opened.append(url)
        return len(opened) < 2

    monkeypatch.setattr(webbrowser, "open", opens)
    async with LoopbackRedirect(seconds=0.01).open() as consent:
        with pytest.raises(Timeout):
            await soon(consent.ask("https://a.example/?a&b;c|d"))
    async with LoopbackRedirect().open() as consent:
        with pytest.raises(AuthorizationFailed, match="redirect of your own"):
            await soon(consent.ask("https://a.example/"))
    assert opened[0] == "https://a.example/?a&b;c|d"


async def test_an_applications_own_way() -> None:
    """A web application has a redirect URI and sessions of its own."""

    async def ask(url: str) -> str:
        return f"code=for-{url}"

    async with CustomRedirect("https://app.example/cb", ask).open() as consent:
        assert consent.redirect_uri == "https://app.example/cb"
        assert await consent.ask("x") == "code=for-x"

"""How the user's consent comes back: a browser is sent to the authorization server, and a loopback port listens.

The listener is bound to 127.0.0.1 on a free port, has an unguessable path, answers once and shows nothing that it was
sent (OCLI-12). What must never stand here: what the answer means (code_flow.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit

from mcpkit.client.errors import AuthorizationFailed, Timeout

_PAGE = "<!doctype html><meta charset=utf-8><title>mcpkit</title><p>Done. You can close this window."
_LONGEST = 16_384


class Consent(Protocol):
    """One visit of the user to the authorization server."""

    redirect_uri: str
    """Where the user's browser is sent back to."""

    async def ask(self, url: str) -> str:
        """Send the user to ``url``; the URL (or at least its query) that the browser was sent back to.

        Raises: AuthorizationFailed, Timeout.
        """


class Redirect(Protocol):
    """A way to send users to an authorization server and to hear of their return."""

    def open(self) -> AbstractAsyncContextManager[Consent]:
        """Be ready for one visit."""


class LoopbackRedirect:
    """Opens the user's browser, and waits on a port of this machine for it to come back.

    ``port`` and ``path`` are free and unguessable unless a registration made beforehand names them; ``seconds`` is
    how long the user may take; ``show`` opens the page in a way of the application's own.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        path: str | None = None,
        seconds: float = 300.0,
        show: Callable[[str], object] | None = None,
    ) -> None:
        self._port = port
        self._path = path
        self._seconds = seconds
        self._show = show

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Consent]:
        """Listen, for one visit."""
        path = self._path or f"/callback/{secrets.token_urlsafe(16)}"
        visit = _Visit(path, self._seconds, self._show or _open_browser)
        server = await asyncio.start_server(visit.served, "127.0.0.1", self._port, limit=_LONGEST)
        try:
            port = server.sockets[0].getsockname()[1]
            visit.redirect_uri = f"http://127.0.0.1:{port}{visit.path}"
            yield visit
        finally:
            server.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await server.wait_closed()


class _Visit:
    def __init__(self, path: str, seconds: float, show: Callable[[str], object]) -> None:
        self.redirect_uri = ""
        self.path = path
        self._seconds = seconds
        self._show = show
        self._back: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask(self, url: str) -> str:
        await asyncio.to_thread(self._show, url)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._back
        except TimeoutError:
            raise Timeout("nobody came back from the authorization server in time") from None

    async def served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a browser; anything but the expected path is not found."""
        try:
            async with asyncio.timeout(10):
                target = (await reader.readline()).split(b" ")[1].decode("ascii")
                while (await reader.readline()).strip():
                    pass
        except (IndexError, ValueError, OSError, TimeoutError):
            target = ""
        expected = urlsplit(target).path == self.path and not self._back.done()
        if expected:
            self._back.set_result(target)
        head = "200 OK" if expected else "404 Not Found"
        body = _PAGE if expected else ""
        writer.write(
            f"HTTP/1.1 {head}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            f"Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{body}".encode()
        )
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()


class CustomRedirect:
    """A way of the application's own: a fixed redirect URI, and a function that brings the answer."""

    def __init__(self, redirect_uri: str, ask: Callable[[str], Awaitable[str]]) -> None:
        self.redirect_uri = redirect_uri
        self._ask = ask

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Consent]:
        """It is always ready."""
        yield self

    async def ask(self, url: str) -> str:
        """Have the application ask the user."""
        return await self._ask(url)


def _open_browser(url: str) -> None:
    """The platform's own way; no shell ever sees the URL (OCLI-08)."""
    if not webbrowser.open(url):
        raise AuthorizationFailed("no browser could be opened; give the OAuth client a redirect of your own")

"""One HTTP exchange as the client needs it, and the library that carries it.

Everything above sends through :class:`HttpCarrier` and never learns which library that is: httpx2 where it is
installed, else httpx, else whatever object an application hands in. Both are imported when the first carrier is made,
so that ``import mcpkit`` stays light. What must never stand here: authorization, redirects, a header of MCP.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, Timeout, Unreachable
from mcpkit.client.proxies import Proxy, proxy_of
from mcpkit.client.urls import origin_text

log = logging.getLogger("mcpkit.client")

BEGINNING: Final = 256 * 1024
"""How many bytes are read of a body that only explains a status, or that answers a notification."""
BEGINNING_SECONDS: Final = 1.0
"""How long such a body is waited for."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is sent; its headers and body hold secrets and are not shown. ``body`` is None where there is none."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    addresses: tuple[str, ...] | None = None
    """The only ones that a direct connection may go to, whatever the host's name leads to; None for any."""


class HttpAnswer(Protocol):
    """What comes back, its body still underway."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields, names in lower case."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; to be iterated once.

        Raises: ConnectionLost.
        """

    async def close(self) -> None:
        """Stop reading and give the connection back, or up; may be called twice."""


@runtime_checkable
class HttpCarrier(Protocol):
    """Sends requests and returns as soon as the head of the answer is there; never follows a redirect."""

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Raises: Unreachable (nothing was sent), ConnectionLost, Timeout."""

    async def close(self) -> None:
        """Give up every connection."""


async def read_body(answer: HttpAnswer, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes of it; closes the answer.

    Raises: ProtocolViolation when it is longer, ConnectionLost.
    """
    try:
        if int(answer.headers.get("content-length", "0") or 0) > limit:
            raise ProtocolViolation(f"the server's answer is larger than the {limit} bytes allowed")
        parts, size = [], 0
        async with aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise ProtocolViolation(f"the server's answer is larger than the {limit} bytes allowed")
                parts.append(chunk)
        return b"".join(parts)
    except ValueError:
        raise ProtocolViolation("the server's Content-Length is no number") from None
    finally:
        await answer.close()


async def read_beginning(answer: HttpAnswer, limit: int = BEGINNING, seconds: float = BEGINNING_SECONDS) -> bytes:
    """Return what of a body comes within ``seconds``, at most about ``limit`` bytes of it; close the answer.

    It is for bodies that only say more about what the status says: none of them may hold up a call, or fail it.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds), aclosing(answer.chunks()) as chunks:
            async for chunk in chunks:
                parts.append(chunk)
                size += len(chunk)
                if size >= limit:
                    break
    except (TimeoutError, ClientError) as error:
        log.debug(
            "the rest of a body was not read: %s", error if isinstance(error, ClientError) else "it took too long"
        )
    finally:
        await answer.close()
    return b"".join(parts)


# ── the libraries ───────────────────────────────────────────────────────────────────────────────────────────────────


class HttpxCarrier:
    """httpx, or its successor httpx2: the same interface under two names."""

    def __init__(self, client: Any = None, *, connect_seconds: float = 10.0, **options: Any) -> None:
        self._library = _library_of(client)
        self._owned = client is None
        self._timeout = self._library.Timeout(None, connect=connect_seconds)  # all other deadlines are the caller's
        self._options = options
        self._through: dict[str | None, Any] = {}
        """A client for each proxy, where the environment names one that the library does not take."""
        self._client = client or self._made()

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send it and wait for the head of the answer."""
        url, headers = request.url, dict(request.headers)
        extensions: dict[str, str] = {}
        proxy = proxy_of(request.url) if self._owned else None
        if proxy is not None:
            proxy.require_usable()
        elif request.addresses is not None and self._owned:
            url, headers, extensions = _pinned(request)
        try:
            client = self._client or self._client_through(proxy)
            wire = client.build_request(
                request.method,
                url,
                headers=headers,
                content=request.body,
                timeout=self._timeout,
                extensions=extensions,
            )
            response = await client.send(wire, stream=True, follow_redirects=False)
        except self._library.HTTPError as error:
            raise self._translated(error, request.url) from error
        except (self._library.InvalidURL, UnicodeError) as error:
            raise Unreachable(f"{origin_text(request.url)}: {error}") from error
        return _HttpxAnswer(response, self)

    async def close(self) -> None:
        """Close the client, unless the application made it."""
        if self._owned:
            for client in (self._client, *self._through.values()):
                if client is not None:
                    await client.aclose()

    def _made(self) -> Any:
        """A client for all URLs; None where the library refuses one because of what the environment says of proxies."""
        try:
            return self._new()
        except (ImportError, ValueError, self._library.InvalidURL):
            return None
        except OSError as error:
            why = f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read: {error}"
            raise Unreachable(why) from None

    def _new(self, **options: Any) -> Any:
        return self._library.AsyncClient(
            limits=self._library.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=5.0),
            follow_redirects=False,
            **{**self._options, **options},
        )

    def _client_through(self, proxy: Proxy | None) -> Any:
        """A client for what goes through that proxy, whatever else the environment says of proxies."""
        key = proxy.url if proxy is not None else None
        if key not in self._through:
            self._through[key] = self._new(trust_env=False, proxy=key)
        return self._through[key]

    def _translated(self, error: Exception, url: str) -> ClientError:
        library, why = self._library, str(error) or type(error).__name__
        proxy = proxy_of(url) if self._owned else None
        through = f" through the proxy that {proxy.variable} names" if proxy is not None else ""
        if isinstance(error, library.ConnectTimeout | library.PoolTimeout):
            return Unreachable(f"{origin_text(url)} did not accept a connection in time")
        if isinstance(error, library.ConnectError | library.ProxyError | library.UnsupportedProtocol):
            return Unreachable(f"{origin_text(url)} cannot be reached{through}: {why}")
        if isinstance(error, library.TimeoutException):
            return Timeout(f"{origin_text(url)} did not answer in time")
        return ConnectionLost(f"the connection to {origin_text(url)} broke: {why}")


class _HttpxAnswer:
    """An httpx response: raw bytes, since a compressed bomb would burst before it could be counted."""

    def __init__(self, response: Any, carrier: HttpxCarrier) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._carrier = carrier

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise ProtocolViolation("the server compressed its answer although it was asked not to")
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except self._carrier._library.HTTPError as error:
            raise self._carrier._translated(error, str(self._response.url)) from error

    async def close(self) -> None:
        await self._response.aclose()


def _pinned(request: HttpRequest) -> tuple[str, dict[str, str], dict[str, str]]:
    """The URL with the address in it, and what makes the server see its name all the same.

    Raises: Unreachable where there is no address.
    """
    parts = urlsplit(request.url)
    if not request.addresses:
        raise Unreachable(f"{origin_text(request.url)} cannot be reached: nobody knows its name")
    address = request.addresses[0]
    host = f"[{address}]" if ":" in address else address
    url = parts._replace(netloc=host if parts.port is None else f"{host}:{parts.port}").geturl()
    return url, {"Host": parts.netloc, **request.headers}, {"sni_hostname": parts.hostname or ""}


def _library_of(client: Any) -> Any:
    """The module that ``client`` comes from; the two don't recognise each other's exceptions."""
    for kind in type(client).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in {"httpx", "httpx2"}:
            return importlib.import_module(name)
    try:
        return importlib.import_module("httpx2")
    except ImportError:
        return importlib.import_module("httpx")

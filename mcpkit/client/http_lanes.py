"""The carrier that the client uses by itself: a stack of httpcore connections, one request at a time on each.

httpx spends most of a request in its pool, which looks at every connection for every request; here the connection used
last is simply the next one taken, whatever their number (docs/decisions has the figures). Where a proxy is configured,
or a URL wants httpx's care, httpx carries. What must never stand here: redirects, authorization, a header of MCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import ssl
import urllib.request
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, Timeout, Unreachable
from mcpkit.client.http import HttpAnswer, HttpRequest, HttpxCarrier
from mcpkit.client.urls import Origin, origin_of, origin_text

_IDLE_SECONDS: Final = 5.0
_MOST_IDLE: Final = 100
_CONNECTING: Final = 32
"""Connections that are opened at once: a thousand calls on a new client are no reason to storm the server."""


class LaneCarrier:
    """Sends each request over an idle connection to its origin, or a new one."""

    def __init__(self, *, connect_seconds: float = 10.0) -> None:
        self._core: Any = importlib.import_module("httpcore")
        self._connect_seconds = connect_seconds
        self._extensions = {"timeout": {"connect": connect_seconds, "read": None, "write": None, "pool": None}}
        self._turns = asyncio.Semaphore(_CONNECTING)
        self._idle: dict[Origin, list[Any]] = {}
        self._busy: set[Any] = set()
        self._proxied: HttpxCarrier | None = None
        self._closed = False

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send it and wait for the head of the answer."""
        try:
            parts, origin = urlsplit(request.url), origin_of(request.url)
        except ValueError as error:
            raise Unreachable(f"{origin_text(request.url)}: {error}") from None
        if self._closed:
            raise ConnectionLost("the client is closed", sent=False)
        if not request.url.isascii() or _proxy_for(parts):
            return await self._through_httpx(request)
        lane = await self._idle_lane(origin)
        turn = None if lane is not None else await _Turn.taken(self._turns)
        lane = lane or await self._idle_lane(origin) or self._new_lane(origin)  # one may have come back meanwhile
        self._busy.add(lane)
        try:
            response = await lane.handle_async_request(self._wire(request, parts, turn))
        except BaseException as error:
            await self._drop(lane)
            raise self._translated(error, request.url) from error
        finally:
            if turn is not None:
                turn.over()
        return _LaneAnswer(response, lane, self, origin)

    async def close(self) -> None:
        """Give up every connection, those in use too."""
        self._closed = True
        lanes = [*self._busy, *(lane for idle in self._idle.values() for lane in idle)]
        self._idle.clear()
        for lane in lanes:
            await self._drop(lane)
        if self._proxied is not None:
            await self._proxied.close()

    async def _idle_lane(self, origin: Origin) -> Any:
        idle = self._idle.get(origin, [])
        while idle:
            lane = idle.pop()
            if not lane.is_closed() and not lane.has_expired():  # the server may have hung up meanwhile
                return lane
            await self._drop(lane)
        return None

    def _new_lane(self, origin: Origin) -> Any:
        scheme, host, port = origin
        context = _tls() if scheme == "https" else None
        target = self._core.Origin(scheme.encode(), host.encode(), port)
        return self._core.AsyncHTTPConnection(target, ssl_context=context, keepalive_expiry=_IDLE_SECONDS)

    def _wire(self, request: HttpRequest, parts: SplitResult, turn: _Turn | None) -> Any:
        fields = [(b"Host", parts.netloc.encode()), (b"User-Agent", b"mcpkit")]
        fields += [(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers.items()]
        if request.body is not None:
            fields.append((b"Content-Length", b"%d" % len(request.body)))
        extensions = self._extensions if turn is None else {**self._extensions, "trace": turn.trace}
        return self._core.Request(
            request.method, request.url, headers=fields, content=request.body, extensions=extensions
        )

    async def _through_httpx(self, request: HttpRequest) -> HttpAnswer:
        if self._proxied is None:
            self._proxied = HttpxCarrier(connect_seconds=self._connect_seconds)
        return await self._proxied.send(request)

    async def _returned(self, lane: Any, origin: Origin) -> None:
        """The answer has been read, or given up."""
        self._busy.discard(lane)
        idle = self._idle.setdefault(origin, [])
        if self._closed or not lane.is_idle() or len(idle) >= _MOST_IDLE:
            await self._drop(lane)
            return
        idle.append(lane)
        if len(idle) > 1 and idle[0].has_expired():  # after a rush, a few each time
            await self._drop(idle.pop(0))

    async def _drop(self, lane: Any) -> None:
        self._busy.discard(lane)
        await lane.aclose()

    def _translated(self, error: BaseException, url: str) -> BaseException:
        core, why = self._core, str(error) or type(error).__name__
        if isinstance(error, core.ConnectTimeout):
            return Unreachable(f"{origin_text(url)} did not accept a connection in time")
        if isinstance(error, core.ConnectError | core.UnsupportedProtocol):
            return Unreachable(f"{origin_text(url)} cannot be reached: {why}")
        if isinstance(error, core.LocalProtocolError | UnicodeError):
            return ProtocolViolation(f"the request to {origin_text(url)} can't be sent: {why}")
        if isinstance(error, core.TimeoutException):
            return Timeout(f"{origin_text(url)} did not answer in time")
        if isinstance(error, core.NetworkError | core.ProtocolError):
            return ConnectionLost(f"the connection to {origin_text(url)} broke: {why}")
        return error


class _Turn:
    """The right to open a connection; over as soon as it is open, long before the request on it is answered."""

    __slots__ = ("_turns",)

    def __init__(self, turns: asyncio.Semaphore) -> None:
        self._turns: asyncio.Semaphore | None = turns

    @classmethod
    async def taken(cls, turns: asyncio.Semaphore) -> _Turn:
        """Wait for it."""
        await turns.acquire()
        return cls(turns)

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hears of everything that happens on the connection."""
        if event == "http11.send_request_headers.started":
            self.over()

    def over(self) -> None:
        """Whoever waits may connect."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.release()


class _LaneAnswer:
    """An answer on its lane: raw bytes, since a compressed bomb would burst before it could be counted."""

    def __init__(self, response: Any, lane: Any, carrier: LaneCarrier, origin: Origin) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = _joined(response.headers)
        self._response = response
        self._lane = lane
        self._carrier = carrier
        self._origin = origin
        self._closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise ProtocolViolation("the server compressed its answer although it was asked not to")
        scheme, host, port = self._origin
        try:
            async for chunk in self._response.stream:
                yield chunk
        except Exception as error:
            translated = self._carrier._translated(error, f"{scheme}://{host}:{port}")
            if not isinstance(translated, ClientError):
                raise
            raise translated from error

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._response.aclose()
        finally:
            await self._carrier._returned(self._lane, self._origin)


def _joined(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case; a field that is there twice reads as one with commas (RFC 9110 §5.3)."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _proxy_for(parts: SplitResult) -> bool:
    """The environment, or the system, wants this URL to go through a proxy."""
    proxies = _proxies()
    if parts.scheme not in proxies and "all" not in proxies:
        return False
    return not urllib.request.proxy_bypass(parts.netloc)


@functools.cache
def _proxies() -> Mapping[str, str]:
    return urllib.request.getproxies()


@functools.cache
def _tls() -> ssl.SSLContext:
    """What the system trusts, and what certifi does: the one knows a company's own authority, the other is current."""
    context = ssl.create_default_context()
    with contextlib.suppress(ImportError, OSError):
        context.load_verify_locations(importlib.import_module("certifi").where())
    context.set_alpn_protocols(["http/1.1"])
    return context

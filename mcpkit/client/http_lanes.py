"""The carrier that the client uses by itself: a stack of connections, one request at a time on each.

httpx spends most of a request in its pool, which looks at every connection for every request; here the connection used
last is simply the next one taken, whatever their number (docs/decisions has the figures). Where a proxy is configured,
a URL wants httpx's care, or httptools is missing, httpx carries. What must never stand here: redirects, authorization,
a header of MCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from mcpkit.client.errors import ConnectionLost, ProtocolViolation, Unreachable
from mcpkit.client.http import HttpAnswer, HttpRequest, HttpxCarrier
from mcpkit.client.http_lane import Lane
from mcpkit.client.proxies import proxy_of
from mcpkit.client.urls import Origin, origin_of, origin_text

_MOST_IDLE: Final = 100
_CONNECTING: Final = 32
"""Connections that are opened at once: a thousand calls on a new client are no reason to storm the server."""
_PLAIN_URL: Final = re.compile(r"[!-~]+")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUES: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS: Final = frozenset({"connection", "content-length", "transfer-encoding"})
"""Fields that say where a message ends, and whether another follows."""

_Way: TypeAlias = tuple[object, ...]
"""Where a connection leads: an origin, and the addresses where these were given rather than looked up."""


class LaneCarrier:
    """Sends each request over an idle connection to its origin, or a new one."""

    def __init__(self, *, connect_seconds: float = 10.0) -> None:
        self._able = importlib.util.find_spec("httptools") is not None
        self._connect_seconds = connect_seconds
        self._turns = asyncio.Semaphore(_CONNECTING)
        self._idle: dict[_Way, list[Lane]] = {}
        self._busy: set[Lane] = set()
        self._proxied: HttpxCarrier | None = None
        self._closed = False

    async def send(self, request: HttpRequest) -> HttpAnswer:
        """Send it and wait for the head of the answer."""
        try:
            parts, origin = _parsed(request.url)
        except ValueError as error:
            raise Unreachable(f"{origin_text(request.url)}: {error}") from None
        if self._closed:
            raise ConnectionLost("the client is closed", sent=False)
        if not self._able or not _PLAIN_URL.fullmatch(request.url) or proxy_of(request.url) is not None:
            return await self._through_httpx(request)
        wire = _wire(request, parts)
        way = (*origin, *(request.addresses or ()))
        lane = self._idle_lane(way) or await self._new_lane(way, origin, request.addresses)
        self._busy.add(lane)
        try:
            await lane.ask(wire)
        except BaseException:
            self._drop(lane)
            raise
        return _LaneAnswer(lane, self, way)

    async def close(self) -> None:
        """Give up every connection, those in use too."""
        self._closed = True
        lanes = [*self._busy, *(lane for idle in self._idle.values() for lane in idle)]
        self._idle.clear()
        for lane in lanes:
            self._drop(lane)
        if self._proxied is not None:
            await self._proxied.close()

    def _idle_lane(self, way: _Way) -> Lane | None:
        idle = self._idle.get(way)
        while idle:
            lane = idle.pop()
            if lane.usable:
                return lane
            lane.drop()
        return None

    async def _new_lane(self, way: _Way, origin: Origin, addresses: tuple[str, ...] | None) -> Lane:
        async with self._turns:
            back = self._idle_lane(way)  # one may have come back meanwhile
            if back is not None:
                return back
            tls = _tls() if origin[0] == "https" else None
            lane = await Lane.opened(origin, tls, self._connect_seconds, addresses)
        if self._closed:
            lane.drop()
            raise ConnectionLost("the client is closed", sent=False)
        return lane

    async def _through_httpx(self, request: HttpRequest) -> HttpAnswer:
        if self._proxied is None:
            self._proxied = HttpxCarrier(connect_seconds=self._connect_seconds)
        return await self._proxied.send(request)

    def _returned(self, lane: Lane, way: _Way) -> None:
        """The answer has been read, or given up."""
        self._busy.discard(lane)
        idle = self._idle.setdefault(way, [])
        if self._closed or not lane.over() or len(idle) >= _MOST_IDLE:
            lane.drop()
            return
        idle.append(lane)
        if idle[0].stale:  # after a rush, one each time
            idle.pop(0).drop()

    def _drop(self, lane: Lane) -> None:
        self._busy.discard(lane)
        lane.drop()


class _LaneAnswer:
    """An answer on its lane: raw bytes, since a compressed bomb would burst before it could be counted."""

    def __init__(self, lane: Lane, carrier: LaneCarrier, way: _Way) -> None:
        self.status = lane.status
        self.headers: Mapping[str, str] = _joined(lane.fields)
        self._lane = lane
        self._carrier = carrier
        self._way = way
        self._closed = False

    @property
    def peer(self) -> str | None:
        """The address that it comes from; None where that is not known."""
        return self._lane.peer

    def chunks(self) -> AsyncGenerator[bytes, None]:
        plain = self.headers.get("content-encoding", "identity").lower() == "identity"
        return self._lane.chunks() if plain else self._compressed()

    async def _compressed(self) -> AsyncGenerator[bytes, None]:
        async for _ in self._lane.chunks():
            raise ProtocolViolation("the server compressed its answer although it was asked not to")
        yield b""

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._carrier._returned(self._lane, self._way)


def _wire(request: HttpRequest, parts: SplitResult) -> bytes:
    """The whole request as it is sent.

    Raises: ProtocolViolation for a header field that is none, or that would change how the message is read.
    """
    lines = [f"{request.method} {parts.path or '/'}{f'?{parts.query}' if parts.query else ''} HTTP/1.1"]
    fields = request.headers
    named = set(map(str.lower, fields))
    if "host" not in named:
        lines.append(f"Host: {parts.netloc}")
    if "user-agent" not in named:
        lines.append("User-Agent: mcpkit")
    if not all(map(_may_be_sent, fields)) or not _VALUES.fullmatch("".join(fields.values())):
        raise ProtocolViolation(f"the request to {origin_text(request.url)} can't be sent: a header field is malformed")
    lines += [f"{name}: {value}" for name, value in fields.items()]
    if request.body is not None:
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + (request.body or b"")


@functools.lru_cache(maxsize=256)
def _may_be_sent(name: str) -> bool:
    """It is a name, and not of a field that is ours to set."""
    return _NAME.fullmatch(name) is not None and name.lower() not in _OURS


@functools.lru_cache(maxsize=256)
def _parsed(url: str) -> tuple[SplitResult, Origin]:
    return urlsplit(url), origin_of(url)


def _joined(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case; a field that is there twice reads as one with commas (RFC 9110 §5.3)."""
    joined: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


@functools.cache
def _tls() -> ssl.SSLContext:
    """What the system trusts, and what certifi does: the one knows a company's own authority, the other is current."""
    context = ssl.create_default_context()
    with contextlib.suppress(ImportError, OSError):
        context.load_verify_locations(importlib.import_module("certifi").where())
    context.set_alpn_protocols(["http/1.1"])
    return context

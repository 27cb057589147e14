"""One HTTP/1.1 connection of the client: one request at a time, its answer read as it comes, never more than is wanted.

httptools (llhttp, in its strict mode) understands the bytes; this file decides when a connection may be used again and
what a broken one means. What must never stand here: which connection is taken (http_lanes.py), redirects, proxies, a
header of MCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import os
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable
from enum import Enum, auto
from typing import Any, Final, cast

from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, Unreachable
from mcpkit.client.urls import Origin

MOST_BARE: Final = 128 * 1024
"""Bytes in a row that bring nothing of the body: a head with the interim answers before it, a trailer."""
MOST_AHEAD: Final = 256 * 1024
"""Bytes of a body that are read before they are asked for."""
IDLE_SECONDS: Final = 4.0
"""After that a connection is not used again: uvicorn and Node.js hang up after five."""
_SPOKEN: Final = ("1.1", "1.0")
_SWITCHING: Final = 101
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""What OpenSSL calls an answer in plain text, in its various versions."""
_TLS_ALERT: Final = b"\x15\x03"
_PROBES: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A server that a cable, a sleep or a forgetful router has taken away is missed after a minute."""


class _State(Enum):
    IDLE = auto()
    ASKED = auto()
    ANSWERING = auto()
    ANSWERED = auto()
    LOST = auto()


class Lane(asyncio.Protocol):
    """A connection, open; ``ask`` sends a request, ``chunks`` reads the body of its answer."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        """The head of the answer, as it came."""
        self._parser: Any = _parser()(self)
        self._transport: asyncio.Transport
        self._state = _State.IDLE
        self._error: ClientError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._chunks: deque[bytes] = deque()
        self._ahead = 0
        self._paused = False
        self._bare = 0
        self._keep = True
        self._fresh = True
        """Nothing was ever answered here."""
        self._since = 0.0
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def opened(
        cls, origin: Origin, tls: ssl.SSLContext | None, seconds: float, addresses: tuple[str, ...] | None = None
    ) -> Lane:
        """A new connection to ``origin``; to one of ``addresses`` where some are given, under the origin's name.

        Raises: Unreachable.
        """
        scheme, host, port = origin
        where, loop = f"{scheme}://{host}:{port}", asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                if addresses is None:
                    _, lane = await loop.create_connection(cls, host, port, ssl=tls, **_eyeballs(loop))
                else:
                    lane = await cls._at_one_of(addresses, origin, tls)
        except TimeoutError:
            raise Unreachable(f"{where} did not accept a connection in time") from None
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"{where} cannot be reached: {_why(error)}") from error
        return lane

    @classmethod
    async def _at_one_of(cls, addresses: tuple[str, ...], origin: Origin, tls: ssl.SSLContext | None) -> Lane:
        """Raises: OSError, the last address's."""
        _, host, port = origin
        name = host if tls is not None else None
        failure = OSError("nobody knows its name")
        for address in addresses:
            try:
                _, lane = await asyncio.get_running_loop().create_connection(
                    cls, address, port, ssl=tls, server_hostname=name
                )
            except OSError as error:
                failure = error
            else:
                return lane
        raise failure

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, request: bytes) -> None:
        """Send a whole request and wait until ``status`` and ``fields`` are those of its answer.

        Raises: ConnectionLost; ProtocolViolation for an answer that is no HTTP.
        """
        if self._state is not _State.IDLE:
            raise self._error or ConnectionLost("the connection was closed", sent=False)
        self._state, self._bare, self.status, self.fields = _State.ASKED, 0, 0, []
        self._transport.write(request)
        while self._state is _State.ASKED:
            await self._news()
        if self._error is not None and self.status < 200:
            raise self._error

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, unchanged.

        Raises: ConnectionLost when it ends too early.
        """
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._ahead -= len(chunk)
                if self._paused and not self._chunks:
                    self._paused = False
                    self._transport.resume_reading()
                yield chunk
            elif self._state is _State.ANSWERING:
                await self._news()
            elif self._error is not None:
                raise self._error
            else:
                return

    def over(self) -> bool:
        """Nobody wants the rest of the answer; True when the connection can be used again."""
        if self._state is not _State.ANSWERED or not self._keep or self._chunks:
            return False
        self._state, self._since = _State.IDLE, self._loop.time()
        return True

    @property
    def peer(self) -> str | None:
        """The address at the other end."""
        found = self._transport.get_extra_info("peername")
        return str(found[0]) if isinstance(found, tuple) else None

    @property
    def usable(self) -> bool:
        """It is idle, was used a moment ago, and the server has neither hung up nor said anything meanwhile."""
        return self._state is _State.IDLE and not self.stale and not self._transport.is_closing() and not self._speaks()

    @property
    def stale(self) -> bool:
        """It has been idle for so long that the server may be hanging up just now."""
        return self._loop.time() - self._since > IDLE_SECONDS

    def drop(self) -> None:
        """End the connection at once: whoever reads from it is told."""
        self._lose(ConnectionLost("the connection was closed"))

    def _speaks(self) -> bool:
        """Something is there to be read, which the event loop has not noticed yet."""
        return _readable(self._transport.get_extra_info("socket").fileno())

    def _reads(self) -> bool:
        """An answer, or the rest of one, is expected."""
        return self._state is _State.ASKED or self._state is _State.ANSWERING

    async def _news(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _lose(self, error: ClientError) -> None:
        if self._state is not _State.LOST:
            self._error = None if self._state is _State.ANSWERED else error
            self._state = _State.LOST
            self._transport.abort()
            self._wake()

    # ── what the event loop tells ───────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._since = self._loop.time()
        _probe_when_silent(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer, or of what nobody asked for."""
        if not self._reads():
            self._lose(ConnectionLost("the server spoke without being asked"))
            return
        self._bare += len(data)
        try:
            self._parser.feed_data(data)
        except Exception as error:  # httptools has no narrower one: it wraps what its callbacks raise, too
            self._garbled(error, data)
        if not self._reads():
            return
        if self._bare > MOST_BARE:
            self._lose(ProtocolViolation(f"the head of the server's answer is larger than {MOST_BARE} bytes"))
        elif self._ahead > MOST_AHEAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """The server hangs up, which ends a body that has no other end."""
        if self._state is _State.ANSWERING and not _framed(self.fields):
            self._state, self._keep = _State.ANSWERED, False
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        words = {_State.ASKED: "before it answered", _State.ANSWERING: "in the middle of its answer"}
        when = words.get(self._state, "")
        plain = self._transport.get_extra_info("sslcontext") is None
        advice = "; write https:// where it speaks TLS" if plain and self._fresh and self._state is _State.ASKED else ""
        self._lose(ConnectionLost(f"the server closed the connection {when}{f': {error}' if error else ''}{advice}"))

    def _garbled(self, error: Exception, data: bytes) -> None:
        if self._state is _State.ANSWERED:
            self._keep = False  # the answer is whole; what follows it is of no interest
        elif data.startswith(_TLS_ALERT):
            self._lose(ProtocolViolation("the server speaks TLS; write https:// in place of http://"))
        else:
            self._lose(ProtocolViolation(f"the server's answer is no HTTP: {error}"))

    # ── what the parser tells ───────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        """Another answer, behind the one that was asked for."""
        if self._state is _State.ANSWERED:
            self._keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head, or of the trailer, which is ignored."""
        if self._state is _State.ASKED:
            self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there; an interim answer's is forgotten."""
        if self._state is not _State.ASKED:
            return
        if self._parser.get_http_version() not in _SPOKEN:
            self._lose(ProtocolViolation("the server's answer is no HTTP/1.1"))
            return
        self.status, self._fresh = self._parser.get_status_code(), False
        if self.status < 100 or self.status == _SWITCHING:
            self._lose(ProtocolViolation(f"the server's answer is no HTTP/1.1: nobody asked for status {self.status}"))
            return
        if self.status < 200:
            self.fields = []
            return
        self._state = _State.ANSWERING
        self._wake()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._state is _State.ANSWERING:
            self._chunks.append(body)
            self._ahead += len(body)
            self._bare = 0
            self._wake()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._state is _State.ANSWERING:
            self._keep = self._parser.should_keep_alive()
            self._state = _State.ANSWERED
            self._wake()


def _why(error: Exception) -> str:
    """What the system says, without Python's words for it, and what to do about it where that is known."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message};"
            " SSL_CERT_FILE names a file with the authority that signed it"
        )
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return "it does not speak TLS; write http:// in place of https://"
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}; check the host's name"
    found = re.search(r"\[Errno (\d+)\] Connect call failed", str(error))
    number = int(found[1]) if found else getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return f"{os.strerror(number)}; start the server, or check the port"
    return os.strerror(int(found[1])) if found else str(error) or type(error).__name__


def _eyeballs(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    """An address that does not answer is not waited for before the next is tried; uvloop has no such thing."""
    return {"happy_eyeballs_delay": 0.25} if isinstance(loop, asyncio.BaseEventLoop) else {}


def _probe_when_silent(connection: Any) -> None:
    """Let the system see for itself whether a silent server is still there: a stream may be silent for hours."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # what is no socket, or a system without this
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _framed(fields: list[tuple[bytes, bytes]]) -> bool:
    """The head says where the body ends."""
    return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in fields)


def _readable(number: int) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(number, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([number], [], [], 0)[0])


def _parser() -> Callable[[Any], Any]:
    """httptools, imported with the first connection."""
    return cast("Callable[[Any], Any]", importlib.import_module("httptools").HttpResponseParser)

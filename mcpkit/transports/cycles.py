"""uvicorn's request and response with shorter ways out: bytes where ASGI has an event for each piece.

An answer in one write, a stream whose pieces are written as they come, a call when the client has gone. Each way says
no where it can't be taken at once; then the usual one is. What must never stand here: requests, anything of MCP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cached_property
from time import monotonic
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from mcpkit.transports.asgi import Header

CONNECTION: Final = b"connection"
NO_CONTENT: Final = 204
CHUNKED: Final[Header] = (b"transfer-encoding", b"chunked")
HOLD_SECONDS: Final = 0.001
"""Pieces that follow one another faster than this leave in one write, at the end of the event loop's turn. A handler
that works between two of them without ever waiting would delay them longer; so these leave at once."""
HOLD_BYTES: Final = 16 * 1024


class DirectCycle(RequestResponseCycle):
    """One request of HTTP/1.1 and its response."""

    _heads: ClassVar[dict[tuple[int, tuple[Header, ...]], bytes]] = {}
    _heads_with: ClassVar[list[Header] | None] = None
    _heads_close: ClassVar = False
    """Whether they say that the connection ends with this response."""
    _gone: Callable[[], None] | None = None
    _event: asyncio.Event | None = None
    _held = b""
    """Pieces that are to leave in one write."""
    spoke: float
    """When the last piece was said, or the request came; by the monotonic clock."""

    @property
    def message_event(self) -> asyncio.Event:  # made only for who waits
        """Set when something has come, the client has gone or the response is complete."""
        if self._event is None:
            self._event = asyncio.Event()
        return self._event

    @message_event.setter
    def message_event(self, event: asyncio.Event) -> None:
        self._event = event

    def answer_whole(self, status: int, fields: tuple[Header, ...], extra: tuple[Header, ...], body: bytes) -> bool:
        """Write a response in one go; False when it must go the usual way.

        ``fields`` are few and always the same: their heads are kept. ``extra`` is this response's own.
        """
        if self.flow.write_paused or self.disconnected or self.response_started or not self.keep_alive:
            return False
        head = self._head(status, fields)
        if DirectCycle._heads_close:
            return False
        if extra:
            if any(name == CONNECTION or b"\n" in value or b"\r" in value for name, value in extra):
                return False
            head = b"%b%b" % (head, b"".join(b"%b: %b\r\n" % field for field in extra))
        self.response_started, size = True, len(body)
        if size > HOLD_BYTES:
            self.transport.write(b"%bcontent-length: %d\r\n\r\n" % (head, size))
            self.transport.write(body)  # apart: a page of a list is not copied for its head
            # (writelines would not say when the client reads too slowly: CVE-2024-12254)
        elif status != NO_CONTENT:
            self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, size, body))
        else:
            self.transport.write(b"%b\r\n" % head)
        self._complete()
        return True

    def begin_pieces(self, fields: tuple[Header, ...]) -> bool:
        """Write the head of a response of unknown length; False when it must go the usual way.

        ``fields`` are few and always the same: their heads are kept.
        """
        if self.flow.write_paused or self.disconnected or self.response_started or not self.keep_alive:
            return False
        head = self._head(200, (*fields, CHUNKED))
        if DirectCycle._heads_close:
            return False
        self.response_started = self.chunked_encoding = True
        self._hand(b"%b\r\n" % head)
        return True

    def write_piece(self, data: bytes) -> bool:
        """Write some of the body, not nothing; False when it must go the usual way, or wait there."""
        if self.flow.write_paused or self.disconnected or self.response_complete or not self.chunked_encoding:
            return False
        self._hand(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def end_pieces(self, data: bytes) -> bool:
        """Write the last of the body, not nothing; False when it must go the usual way."""
        if self.flow.write_paused or self.disconnected or self.response_complete or not self.chunked_encoding:
            return False
        held, self._held = self._held, b""
        self.transport.write(b"%b%x\r\n%b\r\n0\r\n\r\n" % (held, len(data), data))
        self._complete()
        return True

    def send(self, message: Any) -> Awaitable[None]:  # type: ignore[override]  # one frame less
        """The usual way, behind what is held."""
        if self._held:
            self._flush()
        return super().send(message)

    def tell_gone(self, gone: Callable[[], None] | None) -> bool:
        """Call ``gone`` when the client goes before the response is complete; False if it has gone already."""
        if self.disconnected:
            return False
        self._gone = gone
        self.flow.resume_reading()  # reading is how its going is noticed
        self._event = None  # nobody waits for it: a stream may be open for long
        return True

    def lost(self) -> None:
        """The connection has ended."""
        gone, self._gone = self._gone, None
        if gone is not None and not self.response_complete:
            gone()

    def _hand(self, data: bytes) -> None:
        now = monotonic()
        slow, self.spoke = now - self.spoke > HOLD_SECONDS, now
        if slow or len(self._held) + len(data) > HOLD_BYTES:
            held, self._held = self._held, b""
            self.transport.write(held + data)
            return
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held += data

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self.disconnected:
            self.transport.write(held)

    def _complete(self) -> None:
        self.response_complete = True
        if self._event is not None:
            self._event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _head(self, status: int, fields: tuple[Header, ...]) -> bytes:
        """Status line and header fields; the same for all such responses within a second."""
        if DirectCycle._heads_with is not self.default_headers:
            DirectCycle._heads, DirectCycle._heads_with = {}, self.default_headers
            DirectCycle._heads_close = any(name == CONNECTION for name, _ in self.default_headers)
        heads, key = DirectCycle._heads, (status, fields)
        if key not in heads:
            lines = b"".join(b"%b: %b\r\n" % field for field in (*self.default_headers, *fields))
            heads[key] = STATUS_LINE[status] + lines
        return heads[key]


class Flow(FlowControl):
    """uvicorn's control of the flow on a connection; what is waited for is made only for who waits."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = self.write_paused = False

    @cached_property
    def _is_writable_event(self) -> asyncio.Event:  # type: ignore[override]
        event = asyncio.Event()
        if not self.write_paused:
            event.set()
        return event

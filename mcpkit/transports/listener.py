"""What uvicorn's HTTP protocols lack: one strict reading of HTTP, deadlines and a size for a request's head, a patient
way to close, an end for clients that never read, a bound on what all connections take together.

Requests that have not arrived whole never reach an application, so this is the one place to bound them. What must
never stand here: applications, anything of MCP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from mcpkit.framing.http1 import PIECE, BadHttp, RequestFramer
from mcpkit.limits import WHOLE, BoundReached
from mcpkit.security.address import TrustedProxies
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from mcpkit.transports.lingering import LingeringTransport
from mcpkit.transports.load import LIGHT, Load

HEAD_SLACK: Final = 16 * 1024
"""Room for the request line and separators above the limit of the header block, which has its own, clearer answer."""
NO_PROXIES: Final = TrustedProxies(())
SPARE: Final = 256
"""Connections above the limit that are told so; further ones are closed at once."""
MOST_WAITING_BYTES: Final = 64 * 1024
"""What may wait on one connection behind the request that is answered before no more is read from it. Less is read on:
that is how the client's going is noticed."""
HALF_CLOSED_SECONDS: Final = 1.0
"""How long requests that were sent ahead are answered to a client that has ended its side."""
FRUITLESS_SECONDS: Final = 0.1
"""How long nobody looks again for a connection at rest, when none was found."""
_ANSWER: Final = (
    b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%b\r\n%b"
)
_SOON: Final = b"retry-after: 1\r\n"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long (seconds) and how much (bytes) a connection may take, how many there may be, and what they all may."""

    head_seconds: float
    head_bytes: int
    stall_seconds: float
    uri_bytes: int
    connections: int
    held_bytes: int
    share: int = WHOLE
    """What one address may hold of these, in per cent; a proxy that is trusted may hold all."""
    least_bytes: int = 0
    """What it may always hold of ``held_bytes``."""
    proxies: TrustedProxies = NO_PROXIES

    @classmethod
    def of(cls, settings: Settings) -> Deadlines:
        """As the settings say."""
        return cls(
            settings.header_seconds,
            settings.max_header_bytes + settings.max_uri_bytes + HEAD_SLACK,
            settings.send_seconds,
            settings.max_uri_bytes + HEAD_SLACK // 4,
            settings.max_connections,
            settings.max_pending_bytes,
            settings.caller_share,
            max(settings.max_body_bytes + settings.max_header_bytes, settings.max_result_bytes) + HEAD_SLACK,
            TrustedProxies(settings.forwarded_allow_ips),
        )


class _Bounded(asyncio.Protocol):
    """Mixed in before one of uvicorn's protocols; knows of it only what is declared here (docs/decisions/0010)."""

    deadlines: Deadlines
    load: Load
    loop: asyncio.AbstractEventLoop
    client: tuple[str, int] | None
    config: Any
    access_log: bool
    transport: Any
    connections: set[Any]
    cycle: Any
    """The request that is being answered, or was last."""
    flow: Any
    _unset_keepalive_if_required: Callable[[], None]
    _framer: RequestFramer
    _waiting: bytearray | None = None
    """What came behind the request that is being answered. It is not read before: pipelined requests are answered in
    their order (RFC 9112 §9.3.2), and none of them once an answer has closed the connection (§9.6)."""
    _next: asyncio.Handle | None = None
    """Reads it, soon."""
    _pipelined = False
    """Whether the request that is being answered, or was last, was sent ahead of an answer."""
    _half_closed: asyncio.TimerHandle | None = None
    """Set when the client has ended its side behind requests that are still to be answered: closes the connection."""
    _unanswered = 0
    """Bytes of requests that have come and are not answered."""
    _counted = 0
    """How many of these the load knows of."""
    _address: str | None = None
    """Whom the connection is counted for; "": nobody apart, None: it is not counted."""
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client may connect, but not just to hold a socket."""
        self._unanswered, self._counted, self._stall_timer, self._address = 0, 0, None, None
        self._waiting = self._next = self._half_closed = None
        self._pipelined = False
        self._framer = RequestFramer(self.deadlines.head_bytes, self.deadlines.uri_bytes)
        patient: Any = LingeringTransport(transport, self.loop, lambda: self._is_sending)
        super().connection_made(patient)
        self.access_log = self.config.access_log  # uvicorn asks whether anybody listens to its logger
        self._head_timer = self.loop.call_later(self.deadlines.head_seconds, self._too_late)
        self._admit()

    def data_received(self, data: bytes) -> None:
        """Hand on what is understood; what the client owes us then, it owes us in time."""
        if self.transport.is_closing():
            return
        self._unanswered += len(data)
        if self._unanswered > LIGHT:
            reached = self._hold(self._unanswered)
            if reached is not None:
                self._refuse(429 if reached.of_caller else 503, str(reached))
                return
        if self._waiting is None and not self._must_wait:
            self._pipelined = False
            self._hand_on(data)
        else:
            self._wait(self._waiting or bytearray(), data)

    @property
    def _is_answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def _must_wait(self) -> bool:
        """Whether what comes next is another request than the one that is being answered."""
        return self._is_answering and self._framer.between

    @property
    def _is_sending(self) -> bool:
        """Whether the client is in the middle of a request, or has sent another one."""
        return self._waiting is not None or not self._framer.idle

    def _wait(self, first: bytearray, then: bytes | bytearray) -> None:
        """Keep what comes after the request that is being answered."""
        first += then
        self._waiting = first
        if len(first) > MOST_WAITING_BYTES:
            self.flow.pause_reading()

    def _hand_on(self, data: bytes) -> None:
        """Give the parser what it understands of one request."""
        try:
            understood, rest = self._framer.feed(data)
        except BadHttp as fault:
            self._refuse(fault.status, str(fault))
            return
        if rest:
            self._wait(bytearray(rest), self._waiting or b"")
        if understood:
            super().data_received(understood)
        if self._framer.idle or self._is_answering:
            if self._head_timer is not None:
                self.head_arrived()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.deadlines.head_seconds, self._too_late)
        if self._waiting is not None:
            self._go_on_soon()

    def _go_on_soon(self) -> None:
        """Look at what waits as soon as it may be read, in a turn of its own: others are to have theirs."""
        if self._next is None and not self._must_wait:
            self._next = self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._next, waiting = None, self._waiting
        if waiting is None or self._must_wait or self.transport.is_closing():
            return
        size = PIECE if self._framer.between else len(waiting)  # heads are short, and what comes after one is copied
        piece = bytes(waiting[:size])
        del waiting[:size]
        if not waiting:
            self._waiting = None
            self.flow.resume_reading()
        self._pipelined = True
        self._hand_on(piece)
        self._close_if_done()

    def eof_received(self) -> bool:
        """Answer what was sent ahead of the client's end, soon; whoever waits for one answer only has gone.

        A client that has ended its side alone can't be told from one that reads no more (RFC 9112 §9.6).
        """
        ahead = self._waiting is not None or (self._pipelined and self._is_answering)
        if not ahead or self.transport.is_closing() or not self.transport.can_write_eof():
            return False
        if self._half_closed is None:
            self._half_closed = self.loop.call_later(HALF_CLOSED_SECONDS, self.transport.abort)
        return True

    def _close_if_done(self) -> None:
        """End the connection of a client that sends no more, once what it sent is answered."""
        if self._half_closed is not None and self._waiting is None and not self._is_answering:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives its connection."""
        self.head_arrived()
        self.resume_timer()
        if self._half_closed is not None:
            self._half_closed.cancel()
            self._half_closed = None
        self._hold(0)
        self.load.unread(self, 0)
        if self._address is not None:
            self.load.connections.give(self._address)
            self._address = None
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it where the client has reset the connection
        self._forget_waiting()
        self._framer.end()
        self.transport.lost()

    def on_response_complete(self) -> None:
        """A request is answered; what came after it is still to be served."""
        self.answered()
        super().on_response_complete()  # type: ignore[misc]  # uvicorn's
        if self._waiting is not None:
            self._go_on_soon()
        self._close_if_done()

    def answered(self) -> None:
        """What the request took is free again."""
        left = self._framer.held + len(self._waiting or b"")
        if self._unanswered > LIGHT:
            self._hold(left)
        else:
            self._unanswered = left

    @property
    def at_rest(self) -> bool:
        """Whether a request has been answered here and no other has begun."""
        served = self.cycle is not None and self.cycle.response_complete
        return served and not self._is_sending and not self.transport.is_closing()

    def drop(self) -> None:
        """End, unsent answers and all; soon, for this may be called while one is being written."""
        self.loop.call_soon(self.transport.abort)

    def pause_writing(self) -> None:
        """The client does not read: not for ever."""
        super().pause_writing()
        self.load.unread(self, self.transport.get_write_buffer_size(), self._address or "")
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.deadlines.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self.resume_timer()
        self.load.unread(self, 0)
        super().resume_writing()

    def send_400_response(self, message: str) -> None:
        """The parser can't read what we could: nobody may."""
        self._refuse(400, "This is no HTTP request")

    def resume_timer(self) -> None:
        """The client is not stalled."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def head_arrived(self) -> None:
        """A request has begun: its head is waited for no more."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _hold(self, size: int) -> BoundReached | None:
        """Count what unanswered requests take; why there is no room for it."""
        self._unanswered = size
        try:
            self.load.hold(self._address or "", self._counted, size)
        except BoundReached as reached:
            return reached
        self._counted = size
        return None

    def _admit(self) -> None:
        """Count this connection; where there are too many, or too many of its address, one at rest gives way to it."""
        address, proxies = self.client[0] if self.client else "", self.deadlines.proxies
        address = "" if proxies.trusts(address) else proxies.client(address)
        try:
            self.load.connections.take(address)
        except BoundReached as reached:
            if not self._made_room(address if reached.of_caller else None):
                self._crowd(reached)
                return
            self.load.connections.force(address, 1)  # what gives way is still counted until it has gone
        self._address = address

    def _made_room(self, address: str | None) -> bool:
        """Whether a connection at rest, of this address or of any, gives way; not looked for too often."""
        load, now = self.load, self.loop.time()
        if (load.fruitless_until if address is None else load.fruitless_until_of_caller) > now:
            return False
        for other in self.connections:
            if other.at_rest and address in (None, other._address):
                other.transport.close()
                return True
        if address is None:
            load.fruitless_until = now + FRUITLESS_SECONDS
        else:
            load.fruitless_until_of_caller = now + FRUITLESS_SECONDS
        return False

    def _crowd(self, reached: BoundReached) -> None:
        """Nobody gives way: this connection ends."""
        if len(self.connections) > self.load.connections.taken + SPARE:
            self.transport.abort()
        else:
            self._refuse(429 if reached.of_caller else 503, str(reached))

    def _forget_waiting(self) -> None:
        """What waits will never be read."""
        self._waiting = None
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _too_late(self) -> None:
        self._head_timer = None
        if self._framer.idle or (self.cycle is not None and self.cycle.more_body):  # nothing, or a body nobody reads
            self.transport.close()
        else:
            self._refuse(408, "The request did not arrive in time; send it at once")

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is no request, and end the connection; but never in the middle of another answer."""
        self.head_arrived()
        cycle, unfinished = self.cycle, self._is_answering
        if not (unfinished and cycle.response_started):
            body = Refused(status, message).body
            more = _SOON if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS) else b""
            self.transport.write(_ANSWER % (status, HTTPStatus(status).phrase.encode(), len(body), more, body))
        self.transport.linger()
        self._framer.close()
        self._forget_waiting()
        self._hold(0)
        if unfinished:  # to the application its client has gone
            cycle.disconnected = True
            cycle.body = bytearray()
            cycle.message_event.set()


_OWN: Final = (
    *("_framer", "_waiting", "_next", "_unanswered", "_counted", "_address", "_head_timer", "_stall_timer"),
    *("_pipelined", "_half_closed"),
    *("_whole", "_rested", "_starter"),
)
"""What our parts remember of a connection. Beside uvicorn's thirty names in one dictionary they would keep connections
from sharing its keys, which takes 1.2 KiB of each."""


def bounded_protocol(deadlines: Deadlines, *, http: str = "auto") -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, the fast one where it is installed, with these deadlines.

    ``http`` is ``auto``, ``httptools`` or ``h11``.
    """
    bases: tuple[Any, ...]
    load = Load(deadlines.held_bytes, deadlines.share, connections=deadlines.connections, least=deadlines.least_bytes)
    members = {"deadlines": deadlines, "load": load, "__slots__": _OWN}
    if http == "h11" or (http == "auto" and not _has_httptools()):
        from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415 - only one is needed

        bases = (_Bounded, H11Protocol)
    else:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415

        from mcpkit.framing.whole import Lines  # noqa: PLC0415
        from mcpkit.transports.swift import Swift  # noqa: PLC0415

        bases = (Swift, _Bounded, HttpToolsProtocol)
        members |= {"places": {}, "lines": Lines()}
    return type("BoundedProtocol", bases, members)


def _has_httptools() -> bool:
    try:
        import httptools  # noqa: F401, PLC0415 - to be found is not enough: it must load
    except ImportError:
        return False
    return True

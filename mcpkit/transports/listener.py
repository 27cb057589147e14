"""What uvicorn's HTTP protocols lack: one strict reading of HTTP, deadlines and a size for a request's head, a patient
way to close, an end for clients that never read.

Requests that have not arrived whole never reach an application, so this is the one place to bound them. What must
never stand here: applications, anything of MCP.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from mcpkit.framing.http1 import BadHttp, RequestFramer
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from mcpkit.transports.lingering import LingeringTransport

HEAD_SLACK: Final = 16 * 1024
"""Room for the request line and separators above the limit of the header block, which has its own, clearer answer."""
_ANSWER: Final = (
    b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long (seconds) and how much (bytes) a connection may take."""

    head_seconds: float
    head_bytes: int
    stall_seconds: float
    uri_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Deadlines:
        """As the settings say."""
        return cls(
            settings.header_seconds,
            settings.max_header_bytes + settings.max_uri_bytes + HEAD_SLACK,
            settings.send_seconds,
            settings.max_uri_bytes + HEAD_SLACK // 4,
        )


class _Bounded(asyncio.Protocol):
    """Mixed in before one of uvicorn's protocols; knows of it only ``cycle``, the request that is being served."""

    deadlines: Deadlines
    loop: asyncio.AbstractEventLoop
    transport: Any
    cycle: Any
    _framer: RequestFramer
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client may connect, but not just to hold a socket."""
        self._framer = RequestFramer(self.deadlines.head_bytes, self.deadlines.uri_bytes)
        patient: Any = LingeringTransport(transport, self.loop, lambda: not self._framer.idle)
        super().connection_made(patient)
        self._head_timer = self.loop.call_later(self.deadlines.head_seconds, self._too_late)

    def data_received(self, data: bytes) -> None:
        """Hand on what is understood; what the client owes us then, it owes us in time."""
        if self.transport.is_closing():
            return
        try:
            data = self._framer.feed(data)
        except BadHttp as fault:
            self._refuse(fault.status, str(fault))
            return
        if data:
            super().data_received(data)
        cycle = self.cycle
        if self._framer.idle or (cycle is not None and not cycle.response_complete):
            if self._head_timer is not None:
                self.head_arrived()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.deadlines.head_seconds, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives its connection."""
        self.head_arrived()
        self.resume_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read: not for ever."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self.deadlines.stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        self.resume_timer()
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

    def _too_late(self) -> None:
        self._head_timer = None
        if self._framer.idle or (self.cycle is not None and self.cycle.more_body):  # nothing, or a body nobody reads
            self.transport.close()
        else:
            self._refuse(408, "The request did not arrive in time; send it at once")

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is no request, and end the connection; but never in the middle of another answer."""
        self.head_arrived()
        cycle = self.cycle
        unfinished = cycle is not None and not cycle.response_complete
        if not (unfinished and cycle.response_started):
            body = Refused(status, message).body
            self.transport.write(_ANSWER % (status, HTTPStatus(status).phrase.encode(), len(body), body))
        self.transport.linger()
        if unfinished:  # to the application its client has gone
            cycle.disconnected = True
            cycle.message_event.set()


def bounded_protocol(deadlines: Deadlines, *, http: str = "auto") -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, the fast one where it is installed, with these deadlines.

    ``http`` is ``auto``, ``httptools`` or ``h11``.
    """
    bases: tuple[Any, ...]
    if http == "h11" or (http == "auto" and not _has_httptools()):
        from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415 - only one is needed

        bases = (_Bounded, H11Protocol)
    else:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415

        from mcpkit.transports.swift import Swift  # noqa: PLC0415

        bases = (Swift, _Bounded, HttpToolsProtocol)
    return type("BoundedProtocol", bases, {"deadlines": deadlines})


def _has_httptools() -> bool:
    try:
        import httptools  # noqa: F401, PLC0415 - to be found is not enough: it must load
    except ImportError:
        return False
    return True

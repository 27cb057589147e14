"""What uvicorn's HTTP protocols lack: deadlines and a size for a request's head, an end for clients that never read.

Requests that have not arrived whole never reach an application, so this is the one place to bound them. What must
never stand here: applications, anything of MCP.
"""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import dataclass
from typing import Any, Final

from mcpkit.settings import Settings

HEAD_SLACK: Final = 16 * 1024
"""Room for the request line and separators above the limit of the header block, which has its own, clearer answer."""
_HEAD: Final = b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long (seconds) and how much (bytes) a connection may take."""

    head_seconds: float
    head_bytes: int
    stall_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Deadlines:
        """As the settings say."""
        return cls(settings.header_seconds, settings.max_header_bytes + HEAD_SLACK, settings.send_seconds)


class _Bounded(asyncio.Protocol):
    """Mixed in before one of uvicorn's protocols; knows of it only ``cycle``, the request that is being served."""

    deadlines: Deadlines
    loop: asyncio.AbstractEventLoop
    transport: Any
    cycle: Any
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client may connect, but not just to hold a socket."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.deadlines.head_seconds, self._too_late)

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on; while they are a head, count them."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._head_timer is not None:
                self._forget_head()
        else:
            self._count(len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives its connection."""
        self._forget_head()
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
        """Answer rubbish; but not in the middle of another answer, which it would be taken for a part of."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()
        else:
            super().send_400_response(message)  # type: ignore[misc]  # uvicorn's

    def resume_timer(self) -> None:
        """The client is not stalled."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _count(self, size: int) -> None:
        if self.transport.is_closing():
            return
        self._head_size += size
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.deadlines.head_seconds, self._too_late)
        if self._head_size > self.deadlines.head_bytes:
            self._refuse(b"431 Request Header Fields Too Large")

    def _forget_head(self) -> None:
        self._head_size = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        self._refuse(b"408 Request Timeout" if self._head_size else b"")

    def _refuse(self, status: bytes) -> None:
        self._forget_head()
        if status and not (self.cycle is not None and self.cycle.more_body):  # else it is a body nobody reads
            self.transport.write(_HEAD % status)
        self.transport.close()


def bounded_protocol(deadlines: Deadlines, *, http: str = "auto") -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, the fast one where it is installed, with these deadlines.

    ``http`` is ``auto``, ``httptools`` or ``h11``.
    """
    base: Any
    if http == "h11" or (http == "auto" and importlib.util.find_spec("httptools") is None):
        from uvicorn.protocols.http.h11_impl import H11Protocol as base  # noqa: PLC0415 - only one is needed
    else:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as base  # noqa: PLC0415
    return type("BoundedProtocol", (_Bounded, base), {"deadlines": deadlines})

"""A transport that closes so that its last words arrive.

Closing a socket while the client is still sending makes the kernel reset the connection, and the answer that explains
why is lost (RFC 9112 §9.6). So the sending side is closed first, and what still comes is thrown away for a moment.
What must never stand here: HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

LINGER_SECONDS: Final = 1.0


class LingeringTransport:
    """Stands before an asyncio transport; everything but closing and writing goes to it untouched."""

    __slots__ = ("_busy", "_loop", "_timer", "_transport", "closing", "write")

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, busy: Callable[[], bool]) -> None:
        """``busy`` tells whether the client is in the middle of sending something."""
        self._transport = transport
        self._loop = loop
        self._busy = busy
        self.closing = False
        """Whether an end was made here; what the other side ends brings no more data anyway."""
        self._timer: asyncio.TimerHandle | None = None
        self.write: Callable[[bytes], None] = transport.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing can be said any more."""
        return self.closing or self._transport.is_closing()

    def close(self) -> None:
        """Close at once, or patiently while the client is sending. May be called again, and then closes."""
        if self._busy() and not self.closing:
            self.linger()
        else:
            self._end()

    def linger(self) -> None:
        """Say no more, and close when the client has closed, or soon."""
        if self.closing or self._transport.is_closing() or not self._transport.can_write_eof():
            self._end()
            return
        self.closing = True
        self.write = _unheard
        try:
            self._transport.write_eof()
            self._transport.resume_reading()  # reading is how the client's end is noticed
        except OSError:
            self._end()
        else:
            self._timer = self._loop.call_later(LINGER_SECONDS, self._end)

    def lost(self) -> None:
        """The connection has ended. What refers to each other would wait for the garbage collector."""
        self._busy = _never
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.closing = True
        self._transport.close()


def _unheard(data: bytes) -> None:
    """What is written after the end."""


def _never() -> bool:
    """Whether anybody sends on a connection that has ended."""
    return False

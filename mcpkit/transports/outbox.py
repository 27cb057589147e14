"""The messages of one live HTTP+SSE stream: in order, bounded, and ending when there is nothing more to say.

What must never stand here: HTTP, what the messages are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

MOST_MESSAGES: Final = 256
MOST_BYTES: Final = 4 << 20
"""What waits for a slow reader before senders wait too."""


class StreamOutbox:
    """See :class:`~mcpkit.sessions.store.Outbox`; ``idle`` tells whether no more answers are owed."""

    __slots__ = ("_draining", "_idle", "_ready", "_room", "_size", "_waiting", "closed")

    def __init__(self, idle: Callable[[], bool]) -> None:
        self._idle = idle
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._draining = False
        self.closed = False

    @property
    def full(self) -> bool:
        """Whether a sender has to wait."""
        return len(self._waiting) >= MOST_MESSAGES or self._size >= MOST_BYTES

    async def put(self, data: bytes) -> None:
        """Send a message; waits while the client is slow to read."""
        while self.full and not self.closed:
            self._room.clear()
            await self._room.wait()
        self._add(data)

    def offer(self, data: bytes) -> None:
        """Send a message if there is room at once."""
        if not self.full:
            self._add(data)

    def close(self) -> None:
        """End the stream after what waits already."""
        self.closed = True
        self._room.set()
        self._ready.set()

    def drain(self) -> None:
        """End the stream once every call is answered."""
        self._draining = True
        self.look()

    def look(self) -> None:
        """A call has ended: perhaps that was the last."""
        if self._draining:
            self._ready.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """What is to be sent, until the stream ends."""
        while True:
            while self._waiting:
                data = self._waiting.popleft()
                self._size -= len(data)
                self._room.set()
                yield data
            if self.closed or (self._draining and self._idle()):
                self.close()
                return
            self._ready.clear()
            await self._ready.wait()

    def _add(self, data: bytes) -> None:
        if not self.closed:
            self._waiting.append(data)
            self._size += len(data)
            self._ready.set()

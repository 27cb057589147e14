"""The messages of one live HTTP+SSE stream: in order, bounded, and ending when there is nothing more to say.

What must never stand here: HTTP, what the messages are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

from mcpkit.transports.load import LIGHT, Load

MOST_MESSAGES: Final = 256
MOST_BYTES: Final = 1 << 20
"""What waits for a slow reader before senders wait too."""


class StreamOutbox:
    """See :class:`~mcpkit.sessions.store.Outbox`; ``idle`` tells whether no more answers are owed."""

    __slots__ = ("_caller", "_counted", "_draining", "_idle", "_load", "_ready", "_room", "_size", "_waiting", "closed")

    def __init__(self, idle: Callable[[], bool], load: Load, caller: str = "") -> None:
        """``load`` is shared by all outboxes: where they hold too much, or one caller's do, the longest is dropped."""
        self._caller = caller
        self._idle = idle
        self._load = load
        self._counted = 0
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
        """Send a message; who sends waits, once it is here, while the client is slow to read."""
        self._add(data)
        while self.full and not self.closed:
            self._room.clear()
            await self._room.wait()

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

    def drop(self) -> None:
        """End the stream now; what waits is never sent."""
        self._waiting.clear()
        self._size = 0
        self._count()
        self.close()

    async def messages(self, silence: float) -> AsyncIterator[bytes]:
        """What is to be sent, until the stream ends; nothing (b"") after every ``silence`` seconds without."""
        while True:
            while self._waiting:
                data = self._waiting.popleft()
                self._size -= len(data)
                self._count()
                self._room.set()
                yield data
            if self.closed or (self._draining and self._idle()):
                self.close()
                return
            self._ready.clear()
            if not await self._woken(silence):
                yield b""

    def _add(self, data: bytes) -> None:
        if not self.closed:
            self._waiting.append(data)
            self._size += len(data)
            self._count()
            self._ready.set()

    def _count(self) -> None:
        """Few bytes are not worth it."""
        size = self._size if self._size > LIGHT else 0
        if size != self._counted:
            self._counted = size
            self._load.unread(self, size, self._caller)

    async def _woken(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._ready.wait()
        return False

"""The events of an HTTP answer as they arrive, each of bounded size.

What must never stand here: what an event is for, reconnecting.
"""

from __future__ import annotations

import asyncio
from collections import deque

from mcpkit.client.background import log
from mcpkit.client.errors import ClientError, ProtocolViolation
from mcpkit.client.http import HttpAnswer
from mcpkit.client.limits import Patience
from mcpkit.framing.sse import Event, EventDecoder, EventTooLarge

_SPARE_BYTES = 64 * 1024
"""How much of a stream that nobody needs any more is read to save its connection."""


class EventStream:
    """The body of one answer, read event by event; whoever has it closes it."""

    def __init__(self, answer: HttpAnswer, patience: Patience) -> None:
        self.fruitful = False
        """It has brought an event with data."""
        self._decoder = EventDecoder(patience.bounds.message_bytes)
        self._answer = answer
        self._patience = patience
        self._chunks = answer.chunks()
        self._ready: deque[Event] = deque()

    async def next(self) -> Event | None:
        """The next event; None when the stream has ended.

        Raises: ProtocolViolation for an event that is too large, ConnectionLost.
        """
        while not self._ready:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return None
            try:
                self._ready.extend(self._decoder.feed(chunk))
            except EventTooLarge as error:
                raise ProtocolViolation(f"the server sent too much: {error}") from None
        event = self._ready.popleft()
        self.fruitful = self.fruitful or bool(event.data)
        return event

    @property
    def last_event_id(self) -> str | None:
        """The id to resume after."""
        return self._decoder.last_event_id

    @property
    def retry_seconds(self) -> float | None:
        """How long the server wants to be left alone when the stream is over."""
        return None if self._decoder.retry is None else self._decoder.retry / 1000

    async def close(self) -> None:
        """Give the connection up, or back where the stream had ended."""
        await self._chunks.aclose()
        await self._answer.close()

    async def drain(self) -> None:
        """Read what little should be left, so that the connection can be used again; then close."""
        size = 0
        try:
            async with asyncio.timeout(self._patience.deadlines.stream_end):
                while size < _SPARE_BYTES and (chunk := await anext(self._chunks, None)) is not None:
                    size += len(chunk)
        except (TimeoutError, ClientError) as error:
            log.debug("a stream went on after its answer: %s", error)
        finally:
            await self.close()

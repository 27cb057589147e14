"""The event stream on which a server of the handshake era speaks unasked: opened, reopened, given up (SHL-20 to 35).

What must never stand here: the streams of calls, what an event says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from mcpkit.client.background import log
from mcpkit.client.errors import ClientError, ConnectionLost, HttpRefused, SessionEnded, Timeout, Unreachable
from mcpkit.client.http import HttpAnswer
from mcpkit.client.limits import Patience
from mcpkit.client.transports.events import EventStream
from mcpkit.client.transports.resumption import Get, Trail, as_stream
from mcpkit.framing.sse import Event

_OVER: Final = frozenset({400, 404, 410})
"""Servers that no longer know a session answer its stream with one of these."""


class StandingStream:
    """One stream, for as long as its session lives and the server offers it."""

    def __init__(self, get: Get, patience: Patience, deliver: Callable[[Event], None]) -> None:
        self._get = get
        self._patience = patience
        self._deliver = deliver
        self._trail = Trail(patience)
        self._had_one = False
        self.settled = asyncio.Event()
        """The server has said whether it offers the stream."""

    async def run(self) -> ClientError | None:
        """Keep the stream open until the server offers none; the error, if that means that the session is over.

        So it does when the stream can't be had back: the server may be speaking to nobody.
        """
        try:
            while not self._trail.worn_out:
                await self._once()
                await asyncio.sleep(self._trail.pause())
            if self._had_one:
                return ConnectionLost(f"the event stream could not be reopened in {self._trail.failures} attempts")
        except HttpRefused as error:
            log.debug("%s", error)
            if error.status in _OVER and self._had_one:  # before, it may just be a server without the stream
                return SessionEnded(refusal=error)
        except ClientError as error:
            log.warning("the server's event stream is given up: %s", error)
        finally:
            self.settled.set()
        return None

    async def _once(self) -> None:
        try:
            answer = await self._open()
        except (Unreachable, ConnectionLost, Timeout) as error:
            log.debug("the event stream could not be opened: %s", error)
            self._trail.failures += 1
            return
        self._trail.failures = 0
        self._had_one = True
        self.settled.set()
        await self._read(EventStream(answer, self._patience))

    async def _open(self) -> HttpAnswer:
        try:
            return await as_stream(await self._get(self._trail.last_id))
        except HttpRefused as error:
            if error.status != 400 or self._trail.last_id is None:
                raise
            self._trail.last_id = None  # SHL-33: the server no longer has that event; begin afresh
            return await as_stream(await self._get(None))

    async def _read(self, stream: EventStream) -> None:
        try:
            while (event := await stream.next()) is not None:
                self._deliver(event)
        except ConnectionLost as error:
            log.debug("the event stream broke: %s", error)
        finally:
            self._trail.note(stream)
            await stream.close()

"""uvicorn's server with the manners of a program: bounded connections, a greeting, a quiet and timely end.

What must never stand here: which sockets, what an application is, anything of MCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final
from wsgiref.handlers import format_date_time

import uvicorn

from mcpkit.aio import run_to_end
from mcpkit.settings import Settings
from mcpkit.transports.listener import Deadlines, bounded_protocol
from mcpkit.transports.newcomers import turn_away

KEEP_ALIVE_SECONDS: Final = 65
LATE_SECONDS: Final = 1.5
"""What the way out may take after the grace of calls in flight; then the process ends with threads and all."""
KNOCK_SECONDS: Final = 0.05
"""What a connection that is being made may still take to arrive."""
PARTING_SECONDS: Final = 0.3
"""What the first request on a new connection, or the last one on an old, may take."""
AT_ONCE_SECONDS: Final = 0.5
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
TICKS: Final = 10
"""How often uvicorn looks around in a second: with every tenth look it tells the date."""


class HttpProgram(uvicorn.Server):
    """Serves an ASGI application until :meth:`stop` or a signal; its streams and calls end before it does."""

    def __init__(
        self, app: Any, settings: Settings, started: Callable[[], None] = lambda: None, *, alone: bool = False
    ) -> None:
        """``started`` is called once connections are accepted. If ``app`` has a ``retire`` and a ``drain``, it is told
        that the end comes, and when. ``alone``: no other process accepts from the same sockets; otherwise it is for
        the one that holds them to turn newcomers away."""
        self._app = app
        self._started = started
        self._alone = alone
        self._owns_process = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._grace = math.ceil(settings.grace_seconds)
        self._drain_seconds = settings.drain_seconds
        self._hurry = asyncio.Event()
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # it reports clients' mistakes with tracebacks
        super().__init__(
            uvicorn.Config(
                app,
                http=bounded_protocol(Deadlines.of(settings), http=settings.http_parser),
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=1 << 20,  # ours is stricter, and answers 431
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=self._grace,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, as the one thing that this process does."""
        self._owns_process = True
        run_to_end(self.serve(sockets=sockets), self.config.get_loop_factory())

    def stop(self) -> None:
        """End gracefully; the second time at once. May be called from any thread."""
        if self._owns_process:
            allowed = self._drain_seconds + self._grace + LATE_SECONDS
            leave_within(AT_ONCE_SECONDS if self.should_exit else allowed)
        self.force_exit = self.should_exit
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed: all is over
                self._loop.call_soon_threadsafe(self._told)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        self._loop = asyncio.get_running_loop()
        told = logging.getLogger("uvicorn.error")
        told.setLevel(logging.ERROR)  # why an application can't start is told nowhere else
        try:
            await super().startup(sockets=sockets)
        finally:
            told.setLevel(logging.CRITICAL)
        self._started()

    async def on_tick(self, counter: int) -> bool:
        """Look whether to end; with every tenth look, tell the date that answers bear.

        uvicorn would ask ``datetime``, which leaves another name in Python's cache of attributes each second. These few
        bytes lie wherever memory was in use just then, and what many sessions took is not given back beside them.
        """
        if counter % TICKS == 0:
            date = format_date_time(time.time()).encode()
            self.server_state.default_headers = [(b"date", date), *self.config.encoded_headers]
            counter = 1  # to uvicorn no second is full
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Go on until proxies know, take nobody in, say farewell to streams and connections, then wait for calls."""
        self._told()
        if not self.force_exit:
            await self._part(sockets or [])
        await super().shutdown(sockets=sockets)

    async def _part(self, sockets: list[socket.socket]) -> None:
        """Break no request: each answer takes its connection with it, and the door is shut behind the last who came.

        What is left then has been idle for as long as the drain took; a proxy that closes such connections sooner
        never sends anything on one that we close.
        """
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        if self._drain_seconds:
            await self._pause(self._drain_seconds)
        turned = [not self._alone or turn_away(listening) for listening in sockets]
        if any(turned):
            await self._pause(KNOCK_SECONDS)
        for server in self.servers:
            server.close()
        for listening in sockets:
            listening.close()
        self._tell("drain")
        if self.server_state.connections:
            await self._pause(PARTING_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless a second signal says to hurry; in halves, for a loop that was held up to look at its sockets."""
        for _ in range(2):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds / 2):
                    await self._hurry.wait()

    def _told(self) -> None:
        self._tell("retire")
        if self.force_exit:
            self._hurry.set()
        if self.force_exit or not self._drain_seconds:
            self._tell("drain")

    def _tell(self, what: str) -> None:
        getattr(self._app, what, lambda: None)()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal asks to end."""
        self.stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals while serving, and don't raise them again: ending was what they asked for."""
        with signals(self.handle_exit):
            yield


@contextlib.contextmanager
def signals(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Handle the signals that end a program, where this is its main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def leave_within(seconds: float) -> None:
    """End the process by then, whatever a tool's thread is doing: the interpreter would wait for it."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()

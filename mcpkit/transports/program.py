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
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

import uvicorn

from mcpkit.settings import Settings
from mcpkit.transports.listener import Deadlines, bounded_protocol

KEEP_ALIVE_SECONDS: Final = 65
LATE_SECONDS: Final = 1.5
"""What the way out may take after the grace of calls in flight; then the process ends with threads and all."""
PARTING_SECONDS: Final = 0.3
AT_ONCE_SECONDS: Final = 0.5
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class HttpProgram(uvicorn.Server):
    """Serves an ASGI application until :meth:`stop` or a signal; its streams and calls end before it does."""

    def __init__(self, app: Any, settings: Settings, started: Callable[[], None] = lambda: None) -> None:
        """``started`` is called once connections are accepted. If ``app`` has a ``drain``, it is told of the end."""
        self._app = app
        self._started = started
        self._owns_process = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._grace = math.ceil(settings.grace_seconds)
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
        super().run(sockets=sockets)

    def stop(self) -> None:
        """End gracefully; the second time at once. May be called from any thread."""
        if self._owns_process:
            leave_within(AT_ONCE_SECONDS if self.should_exit else self._grace + LATE_SECONDS)
        self.force_exit = self.should_exit
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed: all is over
                self._loop.call_soon_threadsafe(self._drain)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say farewell to streams and to connections, then wait for calls."""
        self._drain()
        if self.server_state.connections and not self.force_exit:
            await self._part()
        await super().shutdown(sockets=sockets)

    async def _part(self) -> None:
        """Let a proxy's idle connections go with their next answer: one that is just closed breaks a request on it."""
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await asyncio.sleep(PARTING_SECONDS)

    def _drain(self) -> None:
        drain = getattr(self._app, "drain", None)
        if drain is not None:
            drain()

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

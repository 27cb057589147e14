"""A short way through uvicorn for a client's next call: no parsing, no task unless it waits, one write per answer.

Clients repeat the head of their requests byte for byte. Such a request, once it has arrived whole, is served within
the event that brought it, from the scope that uvicorn made of the first one. Everything else goes uvicorn's way:
streams, bodies that trickle in, connections to be closed. What must never stand here: limits, anything of MCP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from mcpkit.transports.asgi import Event, Header, Scope
from mcpkit.transports.cycles import LENGTH, DirectCycle, Flow
from mcpkit.transports.eager import Starter

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from mcpkit.framing.http1 import RequestFramer
else:
    Base = object  # it is mixed in before uvicorn's


MOST_WAITING: Final = 16
"""Requests that may wait on one connection behind the one that is served: uvicorn takes 2.4 KiB for each, however short
it is. No client is known that sends ahead."""


class SwiftCycle(DirectCycle):
    """One request that is there already, and its response; uvicorn's cycle with less to set up."""

    logger = logging.getLogger("uvicorn.error")
    access_log = waiting_for_100_continue = False
    keep_alive = True
    disconnected = response_started = response_complete = more_body = False
    chunked_encoding = None
    expected_content_length = 0
    body = bytearray()

    def __init__(self, line: Swift, scope: Scope, body: bytes) -> None:
        self.scope: Any = scope
        self._body: bytes | None = body
        self.transport = line.transport
        self.flow = line.flow
        self.default_headers = line.server_state.default_headers
        self.on_response = line.rest
        self.spoke = monotonic()

    async def receive(self) -> Any:
        """The body; then whatever happens."""
        if self._body is None:
            return await super().receive()
        event: Event = {"type": "http.request", "body": self._body, "more_body": False}
        self._body = None
        return event


class Swift(Base):
    """Serves repeated requests within the event that brings them; mixed in before bounds and uvicorn's protocol."""

    _framer: RequestFramer
    _refuse: Callable[[int, str], None]
    _starters: ClassVar[dict[asyncio.AbstractEventLoop, Starter]] = {}
    _first: dict[str, Any] | None = None
    """The scope of the request that may be repeated, as no application has touched it."""
    _rested = 0.0
    """When the last answer was complete, by the loop's clock."""
    _before: tuple[Header, ...] = ()
    _after: tuple[Header, ...] = ()
    _served: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection takes no more memory than it has to: there may be thousands."""
        self._first, self._rested, self._before, self._after, self._served = None, 0.0, (), (), None
        super().connection_made(cast(asyncio.Transport, transport))
        self.flow = Flow(self.transport)

    def data_received(self, data: bytes) -> None:
        """Serve a repetition at once; hand on all else."""
        if self._first is not None and self.cycle.response_complete and not self.transport.is_closing():
            body = self._framer.repeated(data)
            if body is not None:
                self._serve(self._first, body)
                return
        self._first = None
        super().data_received(data)
        if self._framer.repeatable and self.scope["method"] == "POST":
            self._remember()

    def connection_lost(self, exc: Exception | None) -> None:
        """With the last connection the task that stands by ends too."""
        self.cycle = cast(Any, self.served)  # uvicorn tells the one that was read last, which would never begin
        super().connection_lost(exc)
        if isinstance(self.cycle, DirectCycle):
            self.cycle.lost()
        if not self.connections and self.loop in self._starters:
            self._starters.pop(self.loop).close()

    def on_headers_complete(self) -> None:
        """A request has come, and is served or has to wait."""
        if len(self.pipeline) >= MOST_WAITING:
            raise OverflowError  # so the parser stops, and send_400_response is called
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser has stopped."""
        if len(self.pipeline) >= MOST_WAITING:
            self._refuse(429, "Too many requests wait on this connection: send the next one once one is answered")
        else:
            super().send_400_response(msg)

    @property
    def served(self) -> RequestResponseCycle | None:
        """The request that is being served, or was last: not one that waits behind it."""
        return self._served

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Serve a request that was read in the usual way; its answer may take the short ones."""
        if not (cycle.access_log or cycle.waiting_for_100_continue or cycle.scope["method"] == "HEAD"):
            cycle.__class__ = DirectCycle  # uvicorn makes it, of a class that it can't be told
            cast(DirectCycle, cycle).spoke = monotonic()
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def rest(self) -> None:
        """A repetition has been answered. The timer of idle connections goes on running: it looks when it rings."""
        if self.pipeline or self.flow.read_paused or self.transport.is_closing():
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self._rested = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._ring_after(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for so long."""
        self.timeout_keep_alive_task = None
        left = self._rested + self.timeout_keep_alive - self.loop.time()
        if not self.cycle.response_complete:
            return
        if left > 0:
            self._ring_after(left)
        else:
            super().timeout_keep_alive_handler()

    def _ring_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _remember(self) -> None:
        plain = not (self.config.access_log or self.expect_100_continue or self.limit_concurrency)
        if plain and self.cycle.keep_alive:
            names = [name for name, _ in self.headers]
            at = names.index(LENGTH)
            self._before, self._after = tuple(self.headers[:at]), tuple(self.headers[at + 1 :])
            self._first = dict(self.scope)

    def _serve(self, first: dict[str, Any], body: bytes) -> None:
        headers = [*self._before, (LENGTH, b"%d" % len(body)), *self._after]
        scope = {**first, "headers": headers, "state": self.app_state.copy()}
        cycle = self.cycle = self._served = SwiftCycle(self, scope, body)
        starter = self._starters.get(self.loop)
        if starter is None:
            starter = self._starters[self.loop] = Starter()
        task = starter.start(cycle.run_asgi(self.app))
        if task is not None:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

"""A short way through uvicorn for a request that has come whole: no parser, no task unless it waits, one write.

It is served within the event that brought it, if uvicorn has read a request to the same target before: then it is known
what the target means. Everything else goes uvicorn's way: bodies that trickle in, connections to be closed, requests
that wait behind another. What must never stand here: limits, anything of MCP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from mcpkit.framing.whole import Familiar, Lines, WholeRequests, in_origin_form
from mcpkit.transports.asgi import Asked, Direct, Event, Scope
from mcpkit.transports.cycles import DirectCycle, Flow
from mcpkit.transports.eager import Starter
from mcpkit.transports.load import LIGHT

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Base
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from mcpkit.framing.http1 import RequestFramer
else:
    Base = object  # it is mixed in before uvicorn's


MOST_PLACES: Final = 256
LONGEST_LINE: Final = 512
"""Bytes of a request line that is remembered."""
PLACE: Final = ("method", "path", "raw_path", "query_string")
"""What a request line says of the scope."""


class Place:
    """What a request line, or a head with it, means: what it says of the scope, and who serves it without ASGI in
    between, if anybody does."""

    __slots__ = ("direct", "scope")

    def __init__(self, scope: Scope, direct: Direct | None) -> None:
        self.scope = scope
        self.direct = direct


class SwiftCycle(DirectCycle, Asked):  # type: ignore[misc]  # methods, where others have attributes
    """One request that is there already, and its response; uvicorn's cycle with less to set up."""

    logger = logging.getLogger("uvicorn.error")
    access_log = waiting_for_100_continue = False
    keep_alive = True
    disconnected = response_started = response_complete = more_body = False
    chunked_encoding = None
    expected_content_length = 0
    body = bytearray()
    _received = False

    def __init__(self, line: Swift, head: Familiar, posted: bytes) -> None:
        self.head = head
        self.scope: Any = head.place.scope
        self.posted = posted
        self.transport = line.transport
        self.flow = line.flow
        self.default_headers = line.server_state.default_headers
        self.on_response = line.rest
        self.spoke = monotonic()

    async def receive(self) -> Any:
        """The body; then whatever happens."""
        if self._received:
            return await super().receive()
        self._received, body, self.posted = True, self.posted, b""
        event: Event = {"type": "http.request", "body": body, "more_body": False}
        return event

    async def run_direct(self, serve: Direct) -> None:
        """Have it served without ASGI in between."""
        try:
            await serve(self)
        except BaseException as error:  # as uvicorn does: nothing that a handler raises ends the server
            self.logger.error("a request could not be served", exc_info=error)
            if not self.response_started:
                await self.send_500_response()
        finally:
            if not (self.response_complete or self.disconnected):
                self.transport.close()
            self.on_response = _nothing  # else cycle and connection would keep each other


class Swift(Base):
    """Serves whole requests within the event that brings them; mixed in before bounds and uvicorn's protocol."""

    places: dict[bytes, Place]
    """Request lines that uvicorn has read before, of all connections, and what it made of them."""
    lines: Lines
    transport: Any
    """A LingeringTransport, which knows of its end before uvicorn's does."""
    cycle: Any
    _framer: RequestFramer
    _waiting: bytearray | None
    _hold: Callable[[int], Exception | None]
    _unanswered: int
    answered: Callable[[], None]
    head_arrived: Callable[[], None]
    _starters: ClassVar[dict[asyncio.AbstractEventLoop, Starter]] = {}
    _whole: WholeRequests
    _starter: Starter
    _rested = 0.0
    """When the last answer was complete, by the loop's clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection takes no more memory than it has to: there may be thousands."""
        self._whole, self._rested = WholeRequests(self.lines), 0.0
        if self.loop not in self._starters:
            self._starters[self.loop] = Starter(self.loop)
        self._starter = self._starters[self.loop]
        super().connection_made(cast(asyncio.Transport, transport))
        self.flow = Flow(self.transport)

    def data_received(self, data: bytes) -> None:
        """Serve a whole request at once, where its line is known; hand on all else."""
        cycle, whole = self.cycle, None
        at_rest = (cycle is None or cycle.response_complete) and self._waiting is None
        if at_rest and self._framer.idle and not self.transport.closing:
            whole = self._whole.read(data)
        if whole is not None:
            head, body = whole
            known = head.place is not None or self._find(head, len(body))
            if known and (len(data) <= LIGHT or self._hold(len(data)) is None):
                self._serve(head, body)
                return
        before = self.scope
        super().data_received(data)
        if whole is not None and self.scope is not before:
            self._learn(whole[0].line)

    def connection_lost(self, exc: Exception | None) -> None:
        """With the last connection the task that stands by ends too."""
        super().connection_lost(exc)
        if isinstance(self.cycle, DirectCycle):
            self.cycle.lost()
        if not self.connections and self.loop in self._starters:
            self._starters.pop(self.loop).close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Serve a request that was read in the usual way; its answer may take the short ones."""
        if not (cycle.access_log or cycle.waiting_for_100_continue or cycle.scope["method"] == "HEAD"):
            cycle.__class__ = DirectCycle  # uvicorn makes it, of a class that it can't be told
            cast(DirectCycle, cycle).spoke = monotonic()
        super()._start_asgi_task(cycle, app)

    def rest(self) -> None:
        """An answer went the short way. The timer of idle connections goes on running: it looks when it rings."""
        if self._waiting is not None or self.flow.read_paused or self.transport.closing:
            self.on_response_complete()
            return
        if self._unanswered:
            self.answered()
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

    def _learn(self, line: bytes) -> None:
        """What uvicorn has made of a whole request with this line, before any application has touched it."""
        plain = not (self.config.access_log or self.limit_concurrency) and self.scope["method"] != "HEAD"
        if plain and len(line) <= LONGEST_LINE and in_origin_form(line):
            if len(self.places) >= MOST_PLACES:
                self.places.clear()
            find = getattr(type(self.app), "direct_door", None)  # its own: a wrapper may hand on all other names
            direct = None if find is None else find(self.app, {**self.scope})
            self.places[line] = Place({name: self.scope[name] for name in PLACE}, direct)

    def _find(self, head: Familiar, size: int) -> bool:
        """Make ready for requests with this head; whether its line is known."""
        place = self.places.get(head.line)
        if place is not None:
            self.head_arrived()
            self.on_message_begin()  # uvicorn's own, so that the scope is as it makes them
            scope = {**self.scope, **place.scope, "headers": head.fields(size), "state": self.app_state.copy()}
            head.place = Place(scope, place.direct)
        return place is not None

    def _serve(self, head: Familiar, body: bytes) -> None:
        cycle = self.cycle = SwiftCycle(self, head, body)
        direct = head.place.direct
        if direct is None:
            fields = head.fields(len(body))
            cycle.scope = {**cycle.scope, "headers": fields, "state": self.app_state.copy()}
            work = cycle.run_asgi(self.app)
        else:
            work = cycle.run_direct(direct)
        task = self._starter.start(work)
        if task is not None:
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)


def _nothing() -> None:
    """What a response says that is over."""

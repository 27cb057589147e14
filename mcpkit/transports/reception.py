"""Sessions over HTTP, whichever transport: opening and sweeping them, and what a message means to its session.

What must never stand here: how a message is answered, one transport's ways.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from mcpkit.jsonrpc.errors import INTERNAL_ERROR
from mcpkit.jsonrpc.messages import Id, Notification, Request
from mcpkit.kernel import Kernel
from mcpkit.limits import Bound, BoundReached, Shares
from mcpkit.protocol.exchange import Channel, Exchange
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import SessionStore, StoreAway, StoreFull
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Header, Refused, Visit
from mcpkit.transports.notices import Notices
from mcpkit.transports.reply import CANCELLED

RETRY_SOON: Final[Header] = (b"retry-after", b"1")
RETRY_LATER: Final[Header] = (b"retry-after", b"30")
INITIALIZED: Final = "notifications/initialized"
SWEEP_SECONDS: Final = 60.0


class Reception:
    """Opens sessions in a store and has the store swept while it holds any."""

    __slots__ = (
        *("_most_calls", "_most_of_caller", "_notices", "_pause", "_streams", "_sweeping", "_timer"),
        *("draining", "store"),
    )

    def __init__(self, kernel: Kernel, store: SessionStore, settings: Settings) -> None:
        self.store = store
        self.draining = False
        """Whether the server is going down: then no new session and no new stream is opened."""
        self._streams = Shares(Bound("event streams", "MCP_MAX_STREAMS", settings.max_streams, settings.caller_share))
        self._most_calls = settings.max_session_calls
        self._most_of_caller = settings.max_caller_streams
        self._pause = min(SWEEP_SECONDS, settings.session_idle_seconds / 2)
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Future[None] | None = None
        self._notices = Notices(store.feed(kernel.changes), store)

    async def open(self, visit: Visit, id: Id | None = None) -> Session:
        """A new session of this caller, before its handshake.

        Raises: Refused (503, 429).
        """
        self.check_open(id)
        try:
            session = await self.store.create(NEWEST_HANDSHAKE, visit.principal, visit.caller)
        except StoreFull as full:
            raise Refused(429 if full.of_caller else 503, str(full), [RETRY_LATER], id=id) from None
        self._welcome()
        return session

    async def listens(self, session: Session) -> None:
        """The session's client listens to its own stream here, from now on."""
        self._welcome()
        await self._notices.catch_up(session)

    def _welcome(self) -> None:
        self._notices.begin()
        if self._timer is None:
            self._sweep_later()

    def is_draining(self) -> bool:
        """Whether the server is going down."""
        return self.draining

    def check_open(self, id: Id | None = None) -> None:
        """That sessions and streams may still be opened.

        Raises: Refused (503).
        """
        if self.draining:
            raise going_down(id)

    def begin_stream(self, visit: Visit, id: Id | None = None) -> None:
        """A place for one event stream more, until :meth:`end_stream` (AVAIL-03).

        Raises: Refused (503, 429).
        """
        self.check_open(id)
        if visit.principal is not None and self._streams.held(visit.caller) >= self._most_of_caller:
            message = f"One caller may open {self._most_of_caller} event streams (MCP_MAX_CALLER_STREAMS); end one"
            raise Refused(429, message, [RETRY_LATER], id=id)
        try:
            self._streams.take(visit.caller)
        except BoundReached as reached:
            raise Refused(429 if reached.of_caller else 503, str(reached), [RETRY_LATER], id=id) from None

    def end_stream(self, visit: Visit) -> None:
        """The stream has ended."""
        self._streams.give(visit.caller)

    @property
    def streams(self) -> int:
        """How many event streams are open here, of sessions and without."""
        return self._streams.taken

    def check_load(self, session: Session, id: Id) -> None:
        """That the session may have one more call in flight.

        Raises: Refused (429).
        """
        if session.peer.in_flight >= self._most_calls:
            message = f"{self._most_calls} calls of this session are in flight; wait for answers"
            raise Refused(429, message, [RETRY_SOON], id=id)

    def _sweep_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        self._sweeping = asyncio.ensure_future(self._swept())

    async def _swept(self) -> None:
        """One timer for all sessions, and none while there are none."""
        with suppress(OSError, StoreAway):  # a store that is out of reach for a while is swept next time
            await self.store.sweep()
        if self.store.count and self._timer is None:
            self._sweep_later()


async def hear(session: Session, notification: Notification) -> None:
    """What a notification means to the session itself (INIT-03, CANC-01, CANC-08).

    Raises: StoreAway.
    """
    if notification.method == INITIALIZED:
        if session.phase is Phase.INITIALIZING:
            session.phase = Phase.READY
            await session.keep()
    elif notification.method == CANCELLED:
        reason = notification.params.get("reason")
        await session.cancelled(notification.params.get("requestId"), reason if isinstance(reason, str) else None)


def exchange_in(session: Session, visit: Visit, message: Request | Notification, channel: Channel) -> Exchange:
    """A message of a session as the kernel sees it."""
    return Exchange(
        message.id if type(message) is Request else None,
        message.method,
        message.params,
        session.revision,
        channel,
        session.client,
        visit.principal,
        None,
        session,
        visit.headers,
        caller=visit.caller,
    )


def going_down(id: Id | None = None) -> Refused:
    """What is answered instead of being begun, or finished, while the server ends."""
    return Refused(503, "The server is going down; try again later", [RETRY_LATER], id=id)


def refusal_of(error: Refused | StoreAway) -> Refused:
    """What is answered while nothing can be known of any session, which is never that there is none."""
    if isinstance(error, Refused):
        return error
    return Refused(503, str(error), [RETRY_SOON], code=INTERNAL_ERROR)


def unknown_session(id: Id | None) -> Refused:
    """What a session that never was, has ended, or is somebody else's is answered with (SHL-44, SHL-48)."""
    return Refused(404, "No such session; open one with initialize", id=id)

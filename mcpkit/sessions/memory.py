"""Sessions in the memory of this process.

What must never stand here: a task or a timer per session; sweeping is asked for from outside.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from sys import getsizeof
from time import monotonic

from mcpkit.limits import BoundReached, Shares
from mcpkit.protocol.changes import ChangeFeed, Notice
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.sessions.mailbox import DEFAULT_BOUNDS, Bounds, MemoryMailbox, Shelf
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import Lived, Posted, StoreFull, sessions_bound, unnoted, watched_bound

ID_BYTES = 24
"""192 random bits; 32 characters of the URL-safe alphabet, which is visible ASCII (SHL-41)."""
ROOM = 100
"""Bytes that a session may take in the store's table. A table that has just grown takes 44; one never shrinks."""


class MemoryStore:
    """See :class:`~mcpkit.sessions.store.SessionStore`."""

    __slots__ = ("_clock", "_counted", "_idle", "_sessions", "_swept", "_watched", "lived", "shelf")

    def __init__(
        self,
        most: int = 10_000,
        idle_seconds: float = 1800.0,
        bounds: Bounds = DEFAULT_BOUNDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._sessions: dict[str, Session] = {}
        self._counted = Shares(sessions_bound(most, bounds.share))
        self._watched = Shares(watched_bound(bounds.watched_bytes, bounds.share))
        self._idle = idle_seconds
        self._clock = clock
        self._swept = clock()
        self.shelf = Shelf(bounds, clock)
        self.lived: Lived = unnoted

    keeps = True
    away = False

    @property
    def count(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    @property
    def stored(self) -> int:
        """How many bytes of messages wait in all."""
        return self.shelf.bytes

    async def create(self, revision: Revision, principal: Principal | None = None, caller: str = "") -> Session:
        """A new session.

        Raises: StoreFull.
        """
        try:
            self._counted.take(caller)
        except BoundReached:
            await self._make_room(caller)
        session = Session(
            secrets.token_urlsafe(ID_BYTES), revision, MemoryMailbox(self.shelf, caller), principal, caller
        )
        session.watched = self._watched
        session.born = session.seen = self._clock()
        self._sessions[session.id] = session
        return session

    async def get(self, id: str, principal: Principal | None = None) -> Session | None:
        """The session of that id, touched; None when it is unknown, ended, or somebody else's."""
        if id not in self._sessions:
            return None
        session = self._sessions[id]
        if not session.belongs_to(principal):
            return None
        session.seen = self._clock()
        return session

    async def end(self, session: Session) -> None:
        """End a session."""
        if self._sessions.pop(session.id, None) is not None:
            session.end()
            self._counted.give(session.caller)
            self.lived(self._clock() - session.born)

    async def sweep(self) -> int:
        """End idle sessions and drop old messages."""
        self.shelf.expire()
        self._swept = self._clock()
        limit = self._swept - self._idle
        idle = [session for session in self._sessions.values() if session.seen < limit and not session.busy]
        for session in idle:
            await self.end(session)
        if getsizeof(self._sessions) > ROOM * len(self._sessions):
            self._sessions = dict(self._sessions)  # the old one would keep the room of all that it ever held
        return len(idle)

    async def _make_room(self, caller: str) -> None:
        """Sweep, but not for every single caller that is turned away, and count one session more.

        Raises: StoreFull.
        """
        if self._clock() - self._swept >= 1.0:
            await self.sweep()
        try:
            self._counted.take(caller)
        except BoundReached as reached:
            raise StoreFull(str(reached), of_caller=reached.of_caller) from None

    def open_sessions(self) -> Sequence[Session]:
        """All sessions."""
        return tuple(self._sessions.values())

    def feed(self, changes: ChangeFeed) -> ChangeFeed:
        """The server's own: there is one process."""
        return changes

    async def missed(self, session: Session) -> Sequence[Notice]:
        """None: what a listening session is not told at once waits in its mailbox."""
        return ()

    def take_posts(self, take: Callable[[Session, Posted], Awaitable[None]]) -> None:
        """Nobody hands over anything."""

    async def hand_over(self, session: Session, posted: Posted) -> bool:
        """There is no other replica."""
        return False

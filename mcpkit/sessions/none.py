"""No sessions at all: several processes that share nothing serve every call for itself.

A handshake is answered, but without a session id; calls then say their revision in a header and are served without
one. What must never stand here: state.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mcpkit.protocol.changes import ChangeFeed, Notice
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.sessions.mailbox import MemoryMailbox, Shelf
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import Lived, Posted, unnoted


class NoSessions:
    """See :class:`~mcpkit.sessions.store.SessionStore`; what it creates lasts for the handshake only."""

    __slots__ = ("lived",)

    keeps = False
    away = False
    count = stored = 0

    def __init__(self) -> None:
        self.lived: Lived = unnoted

    async def create(self, revision: Revision, principal: Principal | None = None, caller: str = "") -> Session:
        """A session that nobody will find again."""
        return Session("", revision, MemoryMailbox(Shelf()), principal, caller)

    async def get(self, id: str, principal: Principal | None = None) -> Session | None:
        """There is none."""
        return None

    async def end(self, session: Session) -> None:
        """End it."""
        session.end()

    async def sweep(self) -> int:
        """Nothing is kept."""
        return 0

    def open_sessions(self) -> Sequence[Session]:
        """None."""
        return ()

    def feed(self, changes: ChangeFeed) -> ChangeFeed:
        """The server's own."""
        return changes

    async def missed(self, session: Session) -> Sequence[Notice]:
        """None."""
        return ()

    def take_posts(self, take: Callable[[Session, Posted], Awaitable[None]]) -> None:
        """Nobody hands over anything."""

    async def hand_over(self, session: Session, posted: Posted) -> bool:
        """There is nobody to hand over to."""
        return False

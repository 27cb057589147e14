"""The port of everything that outlives one request: sessions, minted, found and ended.

Memory (memory.py) stands behind it by default; an engine shared by many replicas may (redis_store.py). What must never
stand here: an implementation, HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.limits import Bound
from mcpkit.protocol.changes import ChangeFeed, Notice
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.sessions.session import Session

Lived: TypeAlias = Callable[[float], None]
"""Told of each session that ends, how many seconds it lived."""


def sessions_bound(most: int, share: int) -> Bound:
    """How many sessions there may be, and how many of them of one caller."""
    return Bound("sessions", "MCP_MAX_SESSIONS", most, share)


def watched_bound(most: int, share: int) -> Bound:
    """How many bytes of URIs all sessions may watch, and those of one caller."""
    return Bound("bytes of what sessions watch", "MCP_MAX_SUBSCRIPTION_BYTES", most, share)


def unnoted(seconds: float) -> None:
    """Nobody wants to know."""


class StoreFull(McpKitError):
    """No further session is admitted for now."""

    def __init__(self, message: str, *, of_caller: bool = False) -> None:
        super().__init__(message)
        self.of_caller = of_caller
        """Whether this caller has its share, and others are still admitted."""


class StoreAway(McpKitError):
    """The store can't be reached for now; nothing is known of any session, not even that there is none."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What a client posted to one replica for a stream that another replica holds: who and how, and the body."""

    headers: Mapping[str, str]
    principal: Principal | None
    body: bytes


class SessionStore(Protocol):
    """Mints, finds and ends sessions. Its methods raise StoreAway while what is behind them can't be reached."""

    keeps: bool
    """Whether sessions are kept at all: if not, the handshake is answered without a session."""
    lived: Lived
    """Told when a session ends here; one that Redis lets expire ends nowhere."""

    @property
    def away(self) -> bool:
        """Whether the store is out of reach, as far as is known."""

    @property
    def count(self) -> int:
        """How many sessions there are."""

    @property
    def stored(self) -> int:
        """How many bytes of messages wait for clients that come back."""

    async def create(self, revision: Revision, principal: Principal | None = None, caller: str = "") -> Session:
        """A new session with an id of at least 128 random bits in visible ASCII (SHL-41, SESS-02).

        It is counted for ``caller`` (limits.py), who is no more than that: the session belongs to ``principal``.

        Raises: StoreFull.
        """

    async def get(self, id: str, principal: Principal | None = None) -> Session | None:
        """The session of that id, touched; None when it is unknown, ended, or somebody else's (SHL-48)."""

    async def end(self, session: Session) -> None:
        """End a session; its id is unknown from now on (SHL-44). May be called twice."""

    async def sweep(self) -> int:
        """End the sessions that have been idle for too long, drop messages that are too old; how many ended."""

    def open_sessions(self) -> Sequence[Session]:
        """The sessions that this process has at hand."""

    def feed(self, changes: ChangeFeed) -> ChangeFeed:
        """What sessions are told from: ``changes``, the server's own, or what this store carries between replicas."""

    async def missed(self, session: Session) -> Sequence[Notice]:
        """Notices that came while no replica could tell this session, oldest first."""

    def take_posts(self, take: Callable[[Session, Posted], Awaitable[None]]) -> None:
        """Have what other replicas hand over for streams of this one taken by ``take``, which waits for no client."""

    async def hand_over(self, session: Session, posted: Posted) -> bool:
        """Give what was posted to the replica that holds the session's stream; False when that replica is gone."""

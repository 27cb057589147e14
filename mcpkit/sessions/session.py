"""One handshake session: a slotted object, no task, no queue of its own.

What must never stand here: where sessions are kept (store.py), bytes on a wire, HTTP.
"""

from __future__ import annotations

from typing import Any, Final

from mcpkit.jsonrpc.errors import McpKitError, RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Id, Response
from mcpkit.jsonrpc.peer import Peer
from mcpkit.limits import Shares, text_bytes
from mcpkit.protocol.exchange import UNKNOWN_CLIENT, Client
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.sessions.delivery import Mailbox, Outbox


class SessionEnded(McpKitError):
    """What a question to the client fails with when its session ends first."""


ENDED: Final = "the session has ended"
NOTHING: Final[frozenset[str]] = frozenset()
"""What most sessions watch; Python makes another empty set for each of them."""


class Session:
    """What a conversation remembers between requests; satisfies :class:`~mcpkit.protocol.exchange.SessionState`."""

    __slots__ = (
        "born",
        "caller",
        "client",
        "current",
        "elicitations",
        "id",
        "log_level",
        "mailbox",
        "outbox",
        "peer",
        "phase",
        "principal",
        "revision",
        "seen",
        "subscriptions",
        "watched",
    )

    def __init__(
        self, id: str, revision: Revision, mailbox: Mailbox, principal: Principal | None = None, caller: str = ""
    ) -> None:
        self.id = id
        self.revision = revision
        """The negotiated one; decides the shape of every message of this session, whatever a header says."""
        self.mailbox = mailbox
        self.principal = principal
        self.caller = caller
        """Who it is counted for (limits.py)."""
        self.watched: Shares | None = None
        """What counts the bytes of :attr:`subscriptions`, in a process that keeps sessions for itself."""
        self.client: Client = UNKNOWN_CLIENT
        self.phase = Phase.NEW
        self.log_level: str | None = None
        self.subscriptions = NOTHING
        self.elicitations: tuple[str, ...] = ()
        self.peer = Peer()
        self.outbox: Outbox | None = None
        """The one stream of a session over HTTP+SSE; a Streamable HTTP session has none."""
        self.current = False
        """Whether its client, which listens here, has been told every notice up to the last."""
        self.born = 0.0
        """When it was opened, by the clock of a store in memory."""
        self.seen = 0.0
        """When the client was last heard of, by the store's clock."""

    @property
    def busy(self) -> bool:
        """Whether a call is being served or a stream is open: such a session is not idle."""
        return self.peer.in_flight > 0 or self.outbox is not None or self.mailbox.followed

    @property
    def streamed(self) -> bool:
        """Whether the session is one stream over HTTP+SSE, wherever it is held."""
        return self.outbox is not None

    def belongs_to(self, principal: Principal | None) -> bool:
        """Whether this caller opened the session (SESS-03); to anybody else it must look unknown."""
        mine = self.principal
        return mine is principal or (mine is not None and principal is not None and mine.id == principal.id)

    async def watch(self, uri: str) -> None:
        """Watch one URI more.

        Raises: BoundReached.
        """
        if uri in self.subscriptions:
            return
        if self.watched is not None:
            self.watched.take(self.caller, text_bytes(uri))
        self.subscriptions |= {uri}

    def unwatch(self, uri: str) -> None:
        """Watch it no more; one that was not watched is fine."""
        if uri in self.subscriptions:
            self.subscriptions -= {uri}
            if self.watched is not None:
                self.watched.give(self.caller, text_bytes(uri))

    async def keep(self) -> None:
        """Remember what has changed, for all replicas; one process remembers it anyway.

        Raises: StoreAway.
        """

    async def answered(self, message: Response | ErrorResponse) -> None:
        """The client has answered a question: hand it to whoever asked, wherever that is.

        Raises: StoreAway.
        """
        self.peer.answered(message)

    async def unreadable(self, id: Id, error: RpcError) -> None:
        """An answer came that is none: whoever waits for it is told so.

        Raises: StoreAway.
        """
        self.peer.fail(id, error)

    async def cancelled(self, id: Any, reason: str | None) -> None:
        """The client no longer wants the call ``id``, a value from the wire: stop it, wherever it is served.

        Raises: StoreAway.
        """
        self.peer.cancel(id, reason)

    def end(self) -> None:
        """Cancel its calls, fail its questions, end its streams. May be called twice."""
        self.phase = Phase.CLOSED
        for uri in self.subscriptions:
            self.unwatch(uri)
        self.watched = None
        self.peer.close(SessionEnded(ENDED))
        self.mailbox.close()
        if self.outbox is not None:
            self.outbox.close()

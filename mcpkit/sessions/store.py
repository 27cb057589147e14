"""The port of everything that outlives one request: sessions, minted, found and ended.

Memory (memory.py) stands behind it by default; an engine shared by many replicas may (redis_store.py). What must never
stand here: an implementation, HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.sessions.session import Session


class StoreFull(McpKitError):
    """No further session is admitted for now."""


class SessionStore(Protocol):
    """Mints, finds and ends sessions."""

    @property
    def count(self) -> int:
        """How many sessions there are."""

    async def create(self, revision: Revision, principal: Principal | None = None) -> Session:
        """A new session with an id of at least 128 random bits in visible ASCII (SHL-41, SESS-02).

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

"""The ways to talk to a server: every transport with every revision that it carries (transports.md §0).

What must never stand here: a test, a server.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, REVISIONS
from mcpkit.protocol.revisions.revision import Asks, Revision

OLDEST_FIRST: tuple[str, ...] = tuple(sorted(REVISIONS))
TRANSPORTS = ("memory", "stdio", "http", "sse")
NATIVE = {"sse": HANDSHAKE_NAMES}
"""Revisions that a transport carries; all where it is not named."""


@dataclass(frozen=True, slots=True)
class Way:
    """One transport and one revision."""

    transport: str
    revision: str

    def __str__(self) -> str:
        return f"{self.transport}-{self.revision}"

    @property
    def spoken(self) -> Revision:
        """What the revision is like."""
        return REVISIONS[self.revision]

    @property
    def is_http(self) -> bool:
        """Whether requests go over HTTP."""
        return self.transport in ("http", "sse")

    @property
    def asks_by_result(self) -> bool:
        """Whether the server asks by a result, in rounds."""
        return self.spoken.asks is Asks.INPUT_REQUIRED

    @property
    def has_sessions(self) -> bool:
        """Whether it opens by a handshake."""
        return self.revision in HANDSHAKE_NAMES

    def since(self, revision: str) -> bool:
        """Whether the revision spoken is that one or newer."""
        return self.revision >= revision


WAYS = tuple(
    Way(transport, revision)
    for transport in TRANSPORTS
    for revision in OLDEST_FIRST
    if revision in NATIVE.get(transport, REVISIONS)
)

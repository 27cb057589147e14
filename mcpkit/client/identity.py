"""What the client says of itself: who it is and what it can be asked, in the words of the revision spoken.

What must never stand here: a handler, a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.revisions.revision import Revision

DEFAULT_INFO: Mapping[str, str] = {"name": "mcpkit", "version": "0.1.0"}


@dataclass(frozen=True, slots=True)
class Identity:
    """Name and capabilities, by their newest names; ``log_level`` is the least that the server should report."""

    info: Mapping[str, object] = field(default_factory=lambda: dict(DEFAULT_INFO))
    capabilities: Mapping[str, object] = field(default_factory=dict)
    log_level: str | None = None

    def info_for(self, revision: Revision) -> JsonObject:
        """The Implementation object as ``revision`` knows it."""
        lower = revision.lower.get("implementation")
        return lower(dict(self.info)) if lower is not None else dict(self.info)

    def capabilities_for(self, revision: Revision) -> JsonObject:
        """The ClientCapabilities object as ``revision`` knows it."""
        lower = revision.lower.get("clientCapabilities")
        return lower(dict(self.capabilities)) if lower is not None else dict(self.capabilities)

"""Opening a conversation: ``initialize``, ``server/discover`` and ``ping``, and what the server says of itself.

What must never stand here: sessions (the transport makes them before it asks here), a revision's date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import SUPPORTED
from mcpkit.protocol.revisions.revision import Revision


@dataclass(slots=True)
class Lifecycle:
    """What the server answers when a conversation is opened."""

    server_info: JsonObject
    instructions: str | None
    capabilities: Callable[[Revision], JsonObject]
    """The canonical capabilities offered under a revision, asked anew each time (features come and go)."""
    ttl_ms: int = 60_000
    cache_scope: str = "public"

    async def initialize(self, exchange: Exchange) -> JsonObject:
        """``initialize``: the session's revision has been negotiated by now (INIT-02, INIT-07)."""
        revision = exchange.revision
        result: JsonObject = {
            "protocolVersion": revision.name,
            "capabilities": _lowered(revision, "capabilities", self.capabilities(revision)),
            "serverInfo": _lowered(revision, "implementation", self.server_info),
        }
        return self._instructed(result)

    async def discover(self, exchange: Exchange) -> JsonObject:
        """``server/discover``: versions, capabilities, instructions (DISC-01, DISC-02)."""
        result: JsonObject = {
            "supportedVersions": list(SUPPORTED),
            "capabilities": _lowered(exchange.revision, "capabilities", self.capabilities(exchange.revision)),
            "ttlMs": self.ttl_ms,
            "cacheScope": self.cache_scope,
        }
        return self._instructed(result)

    async def ping(self, exchange: Exchange) -> JsonObject:
        """``ping``: alive (PING-01)."""
        return {}

    def _instructed(self, result: JsonObject) -> JsonObject:
        return {**result, "instructions": self.instructions} if self.instructions else result


def _lowered(revision: Revision, key: str, value: dict[str, Any]) -> dict[str, Any]:
    lower = revision.lower.get(key)
    return lower(value) if lower else value

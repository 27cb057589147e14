"""Results that the server allows to be kept for a while, and to be thrown away the moment they are wrong.

Private entries are of one authorization context only; public ones may be shared by handing one cache to many clients.
What must never stand here: which request may be cached is told by its result, not by a list of methods.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcpkit.client.notices import Change
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject

_NEVER_KEPT: Final = frozenset({"inputResponses", "requestState"})
_LONGEST: Final = 24 * 3600.0
_STALE_BY: Final = {
    "tools": ("tools/list",),
    "prompts": ("prompts/list",),
    "resources": ("resources/list", "resources/templates/list"),
    "resource": ("resources/read",),
}


@dataclass(frozen=True, slots=True)
class _Key:
    server: str
    method: str
    params: bytes
    context: str | None
    """None for what is public."""


class ResponseCache:
    """Results by server, method, params and, where private, by whose they are (CACHE-03, CACHE-04)."""

    def __init__(self, entries: int = 1_000, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = entries
        self._clock = clock
        self._kept: OrderedDict[_Key, tuple[float, JsonObject]] = OrderedDict()

    def find(self, server: str, method: str, params: JsonObject, context: str) -> JsonObject | None:
        """A result that is still fresh."""
        if not self._kept:
            return None
        wanted = _wanted(params)
        for whose in (context, None):
            key = _Key(server, method, wanted, whose)
            entry = self._kept.get(key)
            if entry is not None and self._clock() < entry[0]:
                self._kept.move_to_end(key)
                return entry[1]
        return None

    def keep(self, server: str, method: str, params: JsonObject, context: str, result: JsonObject) -> None:
        """Keep the result for as long as it says, which may be not at all (CACHE-05)."""
        ttl = result.get("ttlMs")
        if isinstance(ttl, bool) or not isinstance(ttl, int) or ttl <= 0 or not _NEVER_KEPT.isdisjoint(params):
            return
        if result.get("resultType", "complete") != "complete":
            return
        whose = None if result.get("cacheScope") == "public" else context
        self._kept[_Key(server, method, _wanted(params), whose)] = (self._clock() + min(ttl / 1000, _LONGEST), result)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def changed(self, server: str, change: Change) -> None:
        """Throw away what the change makes wrong: of contents all, since the URI told may be a part of the one read."""
        methods = _STALE_BY.get(change.kind, ())
        wrong = [key for key in self._kept if key.server == server and key.method in methods]
        for key in wrong:
            del self._kept[key]

    def clear(self, server: str) -> None:
        """Throw away everything of one server."""
        for key in [key for key in self._kept if key.server == server]:
            del self._kept[key]


def _wanted(params: JsonObject) -> bytes:
    """The params that decide about the result: all but ``_meta``."""
    return encode({name: params[name] for name in sorted(params) if name != "_meta"})

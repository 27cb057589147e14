"""Results that are kept: the same caller with the same arguments gets the value again, for a while.

In this process's memory, and bounded. What must never stand here: what a client may keep (that is ``ttl_ms``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from time import monotonic
from typing import Any, Final

from mcpkit.features.asking import ASKED
from mcpkit.features.binding import MakeContext
from mcpkit.features.feature import Call
from mcpkit.protocol.exchange import BEGUN, Exchange

MOST_KEPT: Final = 128
"""Values that one tool keeps; the oldest goes first."""


class Cached:
    """A tool's call, with the values it gave."""

    __slots__ = ("_call", "_kept", "_seconds", "_shared")

    def __init__(self, call: Call, seconds: float, *, shared: bool) -> None:
        """``shared``: what one caller got may be given to any other."""
        self._call = call
        self._seconds = seconds
        self._shared = shared
        self._kept: dict[tuple[str | None, bytes], tuple[float, Any]] = {}

    async def __call__(self, arguments: Mapping[str, Any], exchange: Exchange, make_context: MakeContext) -> Any:
        """The kept value, or a fresh one. Raises: whatever the function raises, which is never kept."""
        if BEGUN in exchange.state:  # a task is to be told when its function begins
            return await self._call(arguments, exchange, make_context)
        key = self._key(exchange)
        kept = self._kept.get(key)
        if kept is not None and monotonic() < kept[0]:
            return kept[1]
        value = await self._call(arguments, exchange, make_context)
        if ASKED not in exchange.state and _lasting(value):
            self._keep(key, value)
        return value

    def _key(self, exchange: Exchange) -> tuple[str | None, bytes]:
        given = json.dumps(exchange.params.get("arguments") or {}, sort_keys=True)
        caller = exchange.principal.id if exchange.principal and not self._shared else None
        return caller, sha256(given.encode()).digest()

    def _keep(self, key: tuple[str | None, bytes], value: Any) -> None:
        self._kept.pop(key, None)
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (monotonic() + self._seconds, value)


def _lasting(value: Any) -> bool:
    """Neither an error nor a question to the caller."""
    return not getattr(value, "is_error", False) and not hasattr(value, "__mcp_result__")

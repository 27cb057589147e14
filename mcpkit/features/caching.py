"""Results that are kept: the same caller with the same arguments gets the result again, for a while.

In this process's memory, or wherever replicas share them, and bounded. What must never stand here: what a client may
keep (that is ``ttl_ms``), an engine.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from hashlib import sha256
from time import monotonic
from typing import Any, Final, Protocol

from mcpkit.features.asking import ASKED
from mcpkit.features.binding import MakeContext
from mcpkit.features.feature import Call
from mcpkit.features.returns import Returns
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import BEGUN, Exchange
from mcpkit.protocol.types import CacheScope

logger = logging.getLogger("mcpkit.features")

MOST_KEPT: Final = 128
"""Results of one tool that are kept; the oldest goes first."""
LARGEST_KEPT: Final = 256 * 1024
"""Bytes; a longer result is not kept."""


class Results(Protocol):
    """Where results are kept. Out of reach, it has none and keeps none."""

    async def get(self, tool: str, key: str) -> bytes | None:
        """What was put there, unless its time is over."""

    async def put(self, tool: str, key: str, result: bytes, seconds: float) -> None:
        """Keep a result for that long, or until newer ones of the tool need its place."""


class MemoryResults:
    """Results in this process."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, tuple[float, bytes]]] = {}

    async def get(self, tool: str, key: str) -> bytes | None:
        """What was put there, unless its time is over."""
        kept = self._kept.get(tool, {}).get(key)
        return kept[1] if kept is not None and monotonic() < kept[0] else None

    async def put(self, tool: str, key: str, result: bytes, seconds: float) -> None:
        """Keep a result."""
        kept = self._kept.setdefault(tool, {})
        kept.pop(key, None)
        while len(kept) >= MOST_KEPT:
            del kept[next(iter(kept))]
        kept[key] = (monotonic() + seconds, result)


class Keeping(Protocol):
    """A tool, as far as keeping its results goes."""

    key: str
    wire: JsonObject
    edition: int
    keeps: float | None
    cache_scope: CacheScope | None
    work: Call
    returns: Returns


class Cached:
    """Calls tools, or gives what they gave."""

    __slots__ = ("results",)

    def __init__(self) -> None:
        self.results: Results = MemoryResults()

    async def call(
        self, tool: Keeping, arguments: Mapping[str, Any], exchange: Exchange, make_context: MakeContext
    ) -> Any:
        """The kept result, or a fresh value.

        Raises: whatever the function raises, which is never kept.
        """
        if BEGUN in exchange.state:  # a task is to be told when its function begins
            return await tool.work(arguments, exchange, make_context)
        key = _key(tool, exchange)
        kept = await self.results.get(tool.key, key)
        again = None if kept is None else _read(kept)
        if again is not None:
            return _Ready(again)
        value = await tool.work(arguments, exchange, make_context)
        result = tool.returns.result(value)
        if ASKED not in exchange.state and "isError" not in result and not hasattr(value, "__mcp_result__"):
            await self._keep(tool, key, result)
        return _Ready(result)

    async def _keep(self, tool: Keeping, key: str, result: JsonObject) -> None:
        try:
            text = encode(result)
        except (TypeError, ValueError, RecursionError):  # whoever sends it will say so
            return
        if len(text) <= LARGEST_KEPT:
            assert tool.keeps is not None
            await self.results.put(tool.key, key, text, tool.keeps)


def _key(tool: Keeping, exchange: Exchange) -> str:
    """Who asks for what of which tool: as it is published, and as often as it was changed in this process."""
    caller = exchange.principal.id if exchange.principal and tool.cache_scope != "public" else None
    parts = [tool.wire, tool.edition, caller, exchange.params.get("arguments") or {}]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _Ready:
    """A result, where a tool's value is expected."""

    __slots__ = ("_result",)

    def __init__(self, result: JsonObject) -> None:
        self._result = result

    def __mcp_result__(self) -> JsonObject:
        return self._result


def _read(text: bytes) -> JsonObject | None:
    """A result that was kept; None where somebody has damaged it: then it is made anew, and kept instead."""
    try:
        result = json.loads(text)  # which is exact, as long as integers may be
    except ValueError:
        result = None
    if isinstance(result, dict):
        return result
    logger.warning("a result that was kept can't be read: it is made anew")
    return None

"""Being told of changes: ``resources/subscribe`` of handshake sessions and the ``subscriptions/listen`` stream.

Both hear the same feed (protocol/changes.py). What must never stand here: a transport, an engine.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any, Final

from mcpkit.features.asking import settled
from mcpkit.features.errors import Overloaded
from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.changes import (
    PROMPTS_CHANGED,
    RESOURCE_UPDATED,
    RESOURCES_CHANGED,
    TOOLS_CHANGED,
    ChangeFeed,
    Notice,
)
from mcpkit.protocol.envelope import META_SUBSCRIPTION_ID
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.uri_template import LONGEST_URI
from mcpkit.security.principal import Principal

ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
MAX_KEYS: Final = 1_000
"""URIs (or task ids) that one stream or session may watch."""
MAX_STREAMS: Final = 100
"""Streams that one authenticated caller may hold open. Callers that nobody knows can't be told apart here: the limits
on connections hold for them."""
SWITCHES: Final[Mapping[str, str]] = {
    "toolsListChanged": TOOLS_CHANGED,
    "promptsListChanged": PROMPTS_CHANGED,
    "resourcesListChanged": RESOURCES_CHANGED,
}
KEYED: Final[Mapping[str, str]] = {"resourceSubscriptions": RESOURCE_UPDATED}

Permits = Callable[[Exchange, str], bool | Awaitable[bool]]


@dataclass(slots=True)
class Subscriptions:
    """The open streams of one server. ``keyed`` maps a filter's name to its notification; extensions add theirs."""

    changes: ChangeFeed
    keyed: dict[str, str] = field(default_factory=lambda: dict(KEYED))
    permits: dict[str, Permits] = field(default_factory=dict)
    """A keyed filter's name → whether this caller may watch that key; a key it may not is left out of the ack."""
    _streams: set[_Stream] = field(default_factory=set)
    _held: Counter[str] = field(default_factory=Counter)
    """How many streams each authenticated caller holds."""

    async def listen(self, exchange: Exchange) -> JsonObject:
        """``subscriptions/listen``: acknowledge, then tell what changes until one side ends it (SUB-01…14).

        Raises: InvalidParams; Overloaded when the caller holds too many streams.
        """
        wanted = exchange.params.get("notifications")
        if not isinstance(wanted, dict):
            raise InvalidParams('notifications must be an object such as {"toolsListChanged": true}')
        stream = _Stream(await self._honoured(exchange, wanted), self.keyed)
        with self._room(exchange.principal):
            return await self._tell(exchange, stream)

    async def _tell(self, exchange: Exchange, stream: _Stream) -> JsonObject:
        end = self.changes.subscribe(stream.hear)
        self._streams.add(stream)
        meta = {META_SUBSCRIPTION_ID: exchange.id}
        try:
            await exchange.notify(ACKNOWLEDGED, {"_meta": meta, "notifications": stream.honoured})
            while await stream.wake():
                for notice in stream.drain():
                    await exchange.notify(notice.method, {**notice.params, "_meta": meta})
        finally:
            end()
            self._streams.discard(stream)
        return {"_meta": meta}

    @contextmanager
    def _room(self, caller: Principal | None) -> Iterator[None]:
        """A place for one stream more of this caller (SUB-14).

        Raises: Overloaded.
        """
        if caller is None:
            yield
            return
        if self._held[caller.id] >= MAX_STREAMS:
            raise Overloaded(f"{MAX_STREAMS} streams of yours are open; end one, or let one watch more")
        self._held[caller.id] += 1
        try:
            yield
        finally:
            self._held[caller.id] -= 1
            if not self._held[caller.id]:
                del self._held[caller.id]

    def close(self) -> None:
        """End every stream gracefully: each gets its result (SUB-08)."""
        for stream in tuple(self._streams):
            stream.close()

    @property
    def open(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    async def _honoured(self, exchange: Exchange, wanted: Mapping[str, Any]) -> JsonObject:
        """The part of the filter that will be served (SUB-02, SUB-03)."""
        for name in SWITCHES:
            if name in wanted and type(wanted[name]) is not bool:
                raise InvalidParams(f"notifications.{name} must be true or false")
        honoured: JsonObject = {name: True for name in SWITCHES if wanted.get(name)}
        for name in self.keyed:
            if name in wanted:
                keys, permits = _keys(name, wanted[name]), self.permits.get(name)
                honoured[name] = [key for key in keys if not permits or await settled(permits(exchange, key))]
        return honoured


def _keys(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise InvalidParams(f"notifications.{name} must be an array of strings")
    if len(value) > MAX_KEYS:
        raise InvalidParams(f"notifications.{name} may name at most {MAX_KEYS}; open a second stream for more")
    return list(dict.fromkeys(value))


@dataclass(slots=True, eq=False)
class _Stream:
    """What one listener has not been told yet; equal notices wait once, so it is bounded by what it watches."""

    honoured: JsonObject
    keyed: Mapping[str, str]
    _wanted: frozenset[tuple[str, str | None]] = frozenset()
    _waiting: dict[Notice, None] = field(default_factory=dict)
    _sleeper: asyncio.Future[None] | None = None
    _closed: bool = False
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _thread: int = field(default_factory=get_ident)

    def __post_init__(self) -> None:
        switches = {(SWITCHES[name], None) for name in self.honoured if name in SWITCHES}
        keys = {(self.keyed[name], key) for name in self.honoured if name in self.keyed for key in self.honoured[name]}
        self._wanted = frozenset(switches | keys)

    def hear(self, notice: Notice) -> None:
        """Called in whatever thread it was published: a sync tool, or a watcher, runs in one of its own."""
        if (notice.method, notice.key) not in self._wanted:
            return
        if get_ident() == self._thread:
            self._note(notice)
        else:
            with suppress(RuntimeError):  # the loop has been closed: nobody is left to be told
                self._loop.call_soon_threadsafe(self._note, notice)

    def _note(self, notice: Notice) -> None:
        self._waiting.pop(notice, None)
        self._waiting[notice] = None
        self._rouse()

    def close(self) -> None:
        self._closed = True
        self._rouse()

    async def wake(self) -> bool:
        """Wait until there is something to tell (True) or the stream is to end (False)."""
        while not self._waiting and not self._closed:
            self._sleeper = asyncio.get_running_loop().create_future()
            await self._sleeper
        return bool(self._waiting)

    def drain(self) -> list[Notice]:
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _rouse(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)


def subscribed_uri(exchange: Exchange) -> str:
    """The URI that ``resources/subscribe`` or ``…/unsubscribe`` names.

    Raises: InvalidParams.
    """
    uri = exchange.params.get("uri")
    if not isinstance(uri, str) or not 0 < len(uri) <= LONGEST_URI:
        raise InvalidParams(f"uri must be a resource's URI, of at most {LONGEST_URI} characters")
    return uri


async def subscribe(exchange: Exchange) -> JsonObject:
    """``resources/subscribe``: this session is told when the resource changes (LSUB-01).

    Raises: InvalidParams.
    """
    uri = subscribed_uri(exchange)
    if exchange.session is not None:
        if len(exchange.session.subscriptions) >= MAX_KEYS:
            raise InvalidParams(f"this session watches {MAX_KEYS} resources already; unsubscribe from some first")
        exchange.session.subscriptions |= {uri}
    return {}


async def unsubscribe(exchange: Exchange) -> JsonObject:
    """``resources/unsubscribe``: the opposite; a URI that was not watched is fine.

    Raises: InvalidParams.
    """
    uri = subscribed_uri(exchange)
    if exchange.session is not None:
        exchange.session.subscriptions -= {uri}
    return {}

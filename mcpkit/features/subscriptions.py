"""Being told of changes: ``resources/subscribe`` of handshake sessions and the ``subscriptions/listen`` stream.

Both hear the same feed (protocol/changes.py). What must never stand here: a transport, an engine.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from mcpkit.features.asking import settled
from mcpkit.features.errors import Overloaded
from mcpkit.features.in_flight import OverloadBound
from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.jsonrpc.messages import Id, JsonObject
from mcpkit.limits import WHOLE, Bound, BoundReached, Shares, text_bytes
from mcpkit.protocol.changes import (
    AT_ONCE,
    PROMPTS_CHANGED,
    RESOURCE_UPDATED,
    RESOURCES_CHANGED,
    TOOLS_CHANGED,
    ChangeFeed,
    Notice,
)
from mcpkit.protocol.envelope import META_SUBSCRIPTION_ID
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.uri_template import LONGEST_URI, normalize_uri
from mcpkit.security.principal import Principal

ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
MAX_KEYS: Final = 1_000
"""URIs (or task ids) that one stream or session may watch."""
MAX_WATCHED_BYTES: Final = 1 << 20
"""What the URIs of one stream or session may take in memory."""
MOST_BYTES: Final = 32 << 20
"""What those of all streams may, where nobody said otherwise."""
STREAM_BYTES: Final = 2048
"""What a stream takes besides what it watches, so that streams that watch nothing are bounded too."""
MAX_STREAMS: Final = 100
"""Streams that one authenticated caller may hold open."""
SWITCHES: Final[Mapping[str, str]] = {
    "toolsListChanged": TOOLS_CHANGED,
    "promptsListChanged": PROMPTS_CHANGED,
    "resourcesListChanged": RESOURCES_CHANGED,
}
KEYED: Final[Mapping[str, str]] = {"resourceSubscriptions": RESOURCE_UPDATED}

Permits = Callable[[Exchange, str], bool | Awaitable[bool]]
Subject: TypeAlias = tuple[str, str | None]
"""The method and the key of a notice: two with the same ones say the same."""
Wordings: TypeAlias = dict[tuple[str, Id | None], bytes]
"""One notice as it is written, for each revision and subscription id: streams that share both share the bytes."""


@dataclass(slots=True)
class Subscriptions:
    """The open streams of one server. ``keyed`` maps a filter's name to its notification; extensions add theirs."""

    changes: ChangeFeed
    keyed: dict[str, str] = field(default_factory=lambda: dict(KEYED))
    permits: dict[str, Permits] = field(default_factory=dict)
    """A keyed filter's name → whether this caller may watch that key; a key it may not is left out of the ack."""
    hears: Callable[[Exchange, str, str], bool] = lambda exchange, name, key: True
    """Whether this caller may hear of a keyed filter's key. One that it may not know of is acknowledged all the same,
    as if nothing were there; may raise InsufficientScope."""
    _crowds: dict[asyncio.AbstractEventLoop, _Crowd] = field(default_factory=dict)
    _held: Counter[str] = field(default_factory=Counter)
    """How many streams each authenticated caller holds."""
    _watched: Shares = field(default_factory=lambda: Shares(_bound(MOST_BYTES, WHOLE)))
    """Bytes of what the streams watch."""

    def limit(self, most: int, share: int) -> None:
        """Let all streams watch ``most`` bytes together, and those of one caller ``share`` per cent of it."""
        self._watched.bound = _bound(most, share)

    async def listen(self, exchange: Exchange) -> JsonObject:
        """``subscriptions/listen``: acknowledge, then tell what changes until one side ends it (SUB-01…14).

        Raises: InvalidParams; Overloaded when the caller holds too many streams.
        """
        wanted = exchange.params.get("notifications")
        if not isinstance(wanted, dict):
            raise InvalidParams('notifications must be an object such as {"toolsListChanged": true}')
        honoured = await self._honoured(exchange, wanted)
        stream = _Stream(exchange, honoured, self._heard(exchange, honoured))
        with self._room(exchange.principal), self._counted(exchange.caller, stream), self._among(stream):
            return await stream.tell()

    @contextmanager
    def _among(self, stream: _Stream) -> Iterator[None]:
        """A stream's time among those that are told what changes."""
        loop = asyncio.get_running_loop()
        crowd = self._crowds.get(loop)
        if crowd is None:
            crowd = self._crowds[loop] = _Crowd(self.changes, loop)
        crowd.enter(stream)
        try:
            yield
        finally:
            if crowd.leave(stream):
                del self._crowds[loop]

    @contextmanager
    def _counted(self, caller: str, stream: _Stream) -> Iterator[None]:
        """The time in which the stream takes memory for what it watches.

        Raises: Overloaded.
        """
        size = STREAM_BYTES + watched_bytes(key for _, key in stream.wanted if key is not None)
        self._watched.take(caller, size)
        try:
            yield
        finally:
            self._watched.give(caller, size)

    @contextmanager
    def _room(self, caller: Principal | None) -> Iterator[None]:
        """A place for one stream more of this caller (SUB-14).

        Raises: Overloaded.
        """
        if caller is None:
            yield
            return
        if self._held[caller.id] >= MAX_STREAMS:
            raise Overloaded(f"{MAX_STREAMS} streams of yours are open; end one, or let one watch more", of_caller=True)
        self._held[caller.id] += 1
        try:
            yield
        finally:
            self._held[caller.id] -= 1
            if not self._held[caller.id]:
                del self._held[caller.id]

    def close(self) -> None:
        """End every stream gracefully: each gets its result (SUB-08), after what was published before."""
        for crowd in tuple(self._crowds.values()):
            crowd.close()

    @property
    def open(self) -> int:
        """How many streams are open."""
        return sum(len(crowd.streams) for crowd in tuple(self._crowds.values()))

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

    def _heard(self, exchange: Exchange, honoured: JsonObject) -> frozenset[Subject]:
        """What a stream is told of. Raises: InsufficientScope."""
        switches = {(SWITCHES[name], None) for name in honoured if name in SWITCHES}
        keyed = {name: method for name, method in self.keyed.items() if name in honoured}
        keys = {
            (method, _normal(method, key))
            for name, method in keyed.items()
            for key in honoured[name]
            if self.hears(exchange, name, key)
        }
        return frozenset(switches | keys)


def watched_bytes(keys: Iterable[str]) -> int:
    """What these take in memory."""
    return sum(map(text_bytes, keys))


def _bound(most: int, share: int) -> Bound:
    return OverloadBound("bytes of what streams watch", "MCP_MAX_SUBSCRIPTION_BYTES", most, share)


def _keys(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise InvalidParams(f"notifications.{name} must be an array of strings")
    if len(value) > MAX_KEYS:
        raise InvalidParams(f"notifications.{name} may name at most {MAX_KEYS}; open a second stream for more")
    if any(len(key) > LONGEST_URI for key in value):
        raise InvalidParams(f"notifications.{name} may hold strings of at most {LONGEST_URI} characters")
    if watched_bytes(value) > MAX_WATCHED_BYTES:
        raise InvalidParams(f"notifications.{name} may take {MAX_WATCHED_BYTES} bytes; open a second stream for more")
    return list(dict.fromkeys(value))


class _Crowd:
    """The streams of one event loop: one listener and one short-lived task for all of them."""

    __slots__ = ("_due", "_end", "_loop", "_task", "_waiting", "_wanted", "streams")

    def __init__(self, changes: ChangeFeed, loop: asyncio.AbstractEventLoop) -> None:
        self.streams: dict[_Stream, None] = {}
        self._wanted: Counter[Subject] = Counter()
        """How many streams want to hear of what: nothing else waits here, so it is bounded by what they watch."""
        self._waiting: dict[Notice, None] = {}
        self._due: Iterator[tuple[_Stream, Notice, Wordings]] = iter(())
        """Who is still to be told what."""
        self._task: asyncio.Task[None] | None = None
        self._loop = loop
        self._end = changes.subscribe(self._hear)

    def enter(self, stream: _Stream) -> None:
        """From now on it is told."""
        self.streams[stream] = None
        self._wanted.update(stream.wanted)

    def leave(self, stream: _Stream) -> bool:
        """It is told nothing any more; True when nobody is left to be told."""
        del self.streams[stream]
        for subject in stream.wanted:
            self._wanted[subject] -= 1
            if not self._wanted[subject]:
                del self._wanted[subject]
        if not self.streams:
            self._end()
        return not self.streams

    def close(self) -> None:
        """End every stream; from any thread."""
        self._soon(self._close)

    def _hear(self, notice: Notice) -> None:
        """Called in whatever thread it was published: a sync tool, or a watcher, runs in one of its own."""
        if (notice.method, notice.key) in self._wanted:
            self._soon(self._note, notice)

    def _soon(self, call: Callable[..., None], *arguments: Notice) -> None:
        with suppress(RuntimeError):  # the loop has been closed: nobody is left to be told
            self._loop.call_soon_threadsafe(call, *arguments)

    def _note(self, notice: Notice) -> None:
        notice.wait(self._waiting)
        if self._task is None or self._task.done():
            self._due = self._pairs()
            self._task = self._loop.create_task(self._tell())

    def _close(self) -> None:
        self._task = None  # it finds nothing left to do
        for stream, notice, _ in self._due:
            stream.note(notice)
        for stream in self.streams:
            stream.close()

    async def _tell(self) -> None:
        for number, (stream, notice, wordings) in enumerate(self._due, 1):
            stream.hear(notice, wordings)
            if number % AT_ONCE == 0:
                wordings.clear()  # where every stream has another id they would be as many as the streams
                await asyncio.sleep(0)

    def _pairs(self) -> Iterator[tuple[_Stream, Notice, Wordings]]:
        while self._waiting:
            notice = next(iter(self._waiting))
            del self._waiting[notice]
            subject, wordings = (notice.method, notice.key), Wordings()
            for stream in [stream for stream in self.streams if subject in stream.wanted]:
                yield stream, notice, wordings


class _Stream:
    """One listener, and what it has not been told yet; equal notices wait once, so it is bounded by what it watches."""

    __slots__ = ("_closed", "_exchange", "_honoured", "_meta", "_sleeper", "_waiting", "wanted")

    def __init__(self, exchange: Exchange, honoured: JsonObject, wanted: frozenset[Subject]) -> None:
        self.wanted = wanted
        self._exchange = exchange
        self._honoured = honoured
        self._meta = {META_SUBSCRIPTION_ID: exchange.id}
        self._waiting: dict[Notice, None] = {}
        self._sleeper: asyncio.Future[None] | None = None
        self._closed = False

    async def tell(self) -> JsonObject:
        """Acknowledge, then tell what waits whenever something does, until the stream is to end."""
        await self._exchange.notify(ACKNOWLEDGED, {"_meta": self._meta, "notifications": self._honoured})
        while await self._wake():
            for notice in self._drain():
                await self._exchange.notify(notice.method, self._params(notice))
        return {"_meta": self._meta}

    def hear(self, notice: Notice, wordings: Wordings) -> None:
        """Told at once where nothing is in the way: waking the task for it costs more than that. Else it waits.

        A task that sleeps has told all that came before, and has not ended.
        """
        asleep = self._sleeper is not None and not self._sleeper.done()
        if not asleep or not self._offered(notice, wordings):
            self.note(notice)

    def note(self, notice: Notice) -> None:
        """It is told by the stream's own task, after what waits already."""
        notice.wait(self._waiting)
        self._rouse()

    def close(self) -> None:
        """Let the stream end after what waits already."""
        self._closed = True
        self._rouse()

    def _offered(self, notice: Notice, wordings: Wordings) -> bool:
        exchange = self._exchange
        key = exchange.revision.name, exchange.id
        data = wordings.get(key)
        if data is None:
            try:
                data = wordings[key] = exchange.encoded(notice.method, self._params(notice))
            except TypeError:  # JSON can't say it: the task meets that too, and ends the stream with an error
                return False
        return exchange.channel.offer(data)

    def _params(self, notice: Notice) -> JsonObject:
        return {**notice.params, "_meta": self._meta}

    async def _wake(self) -> bool:
        """Wait until there is something to tell (True) or the stream is to end (False)."""
        while not self._waiting and not self._closed:
            self._sleeper = asyncio.get_running_loop().create_future()
            await self._sleeper
        return bool(self._waiting)

    def _drain(self) -> list[Notice]:
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _rouse(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)


def _normal(notification: str, key: str) -> str:
    """What notices of that kind are filtered by."""
    return normalize_uri(key) if notification == RESOURCE_UPDATED and len(key) <= LONGEST_URI else key


def subscribed_uri(exchange: Exchange) -> str:
    """The normal form of the URI that ``resources/subscribe`` or ``…/unsubscribe`` names.

    Raises: InvalidParams.
    """
    uri = exchange.params.get("uri")
    if isinstance(uri, str) and 0 < len(uri) <= LONGEST_URI and len(normal := normalize_uri(uri)) <= LONGEST_URI:
        return normal
    raise InvalidParams(f"uri must be a resource's URI, of at most {LONGEST_URI} characters when it is percent-encoded")


async def subscribe(exchange: Exchange) -> JsonObject:
    """``resources/subscribe``: this session is told when the resource changes (LSUB-01).

    Raises: InvalidParams; Overloaded when this caller, or all together, watch too much.
    """
    uri, session = subscribed_uri(exchange), exchange.session
    if session is None or uri in session.subscriptions:
        return {}
    if len(session.subscriptions) >= MAX_KEYS:
        raise InvalidParams(f"this session watches {MAX_KEYS} resources already; unsubscribe from some first")
    if watched_bytes({*session.subscriptions, uri}) > MAX_WATCHED_BYTES:
        raise InvalidParams(
            f"the URIs that a session watches may take {MAX_WATCHED_BYTES} bytes; unsubscribe from some first"
        )
    try:
        await session.watch(uri)
    except BoundReached as reached:
        raise Overloaded(str(reached), of_caller=reached.of_caller) from None
    return {}


async def unsubscribe(exchange: Exchange) -> JsonObject:
    """``resources/unsubscribe``: the opposite; a URI that was not watched is fine.

    Raises: InvalidParams.
    """
    uri = subscribed_uri(exchange)
    if exchange.session is not None:
        exchange.session.unwatch(uri)
    return {}

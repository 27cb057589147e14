"""Change notices of all replicas, over one Redis stream: what changes on one is told by every one.

What must never stand here: who listens, how a notice is written to a client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import orjson

from mcpkit.jsonrpc.codec import encode
from mcpkit.protocol.changes import ChangeFeed, Listener, LocalChanges, Notice
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.store import StoreAway

KEPT: Final = 1_000
"""Notices that the feed remembers for sessions that are between two streams."""


class RedisFeed:
    """See :class:`~mcpkit.protocol.changes.ChangeFeed`: here are the notices of all replicas, each with its place."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._listeners = LocalChanges()
        self._joined: dict[int, ChangeFeed] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Notice, None] = {}
        self._sending = False
        link.back.append(self._send)

    def join(self, changes: ChangeFeed) -> Callable[[], None]:
        """Carry a server's notices to the other replicas, and theirs to it, until the returned function is called."""
        self._loop = asyncio.get_running_loop()
        self._joined[id(changes)] = changes
        unsubscribe = changes.subscribe(self._published)

        def part() -> None:
            unsubscribe()
            self._joined.pop(id(changes), None)

        return part

    def publish(self, notice: Notice) -> None:
        """Tell all replicas, this one included; from any thread."""
        self._published(notice)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Be told of every notice of every replica."""
        return self._listeners.subscribe(listener)

    def heard(self, id: str, fields: Mapping[str, bytes]) -> None:
        """The feed has a new entry."""
        notice = notice_of(id, fields)
        self._listeners.publish(notice)
        if fields["origin"] != self._link.id.encode():
            for changes in tuple(self._joined.values()):
                changes.publish(notice)

    def _published(self, notice: Notice) -> None:
        if notice.place is None and self._loop is not None:  # else it has come from the feed
            with suppress(RuntimeError):  # the loop has been closed: nobody is left to tell it
                self._loop.call_soon_threadsafe(self._note, notice)

    def _note(self, notice: Notice) -> None:
        notice.wait(self._waiting)
        while len(self._waiting) > KEPT:
            del self._waiting[next(iter(self._waiting))]
        self._send()

    def _send(self) -> None:
        if self._waiting and not self._sending and not self._link.away:
            self._sending = True
            self._link.soon(self._sent())

    async def _sent(self) -> None:
        try:
            while self._waiting:
                notice = next(iter(self._waiting))
                await self._link.do("XADD", f"{self._link.prefix}feed", "MAXLEN", "~", KEPT, "*", *self._entry(notice))
                if next(iter(self._waiting), None) is notice:
                    del self._waiting[notice]
        except StoreAway:
            return  # what waits is sent when Redis is back
        finally:
            self._sending = False

    def _entry(self, notice: Notice) -> tuple[bytes | str, ...]:
        key = encode(notice.key)
        return ("method", notice.method, "key", key, "params", encode(notice.params), "origin", self._link.id)


def notice_of(id: str, fields: Mapping[str, bytes]) -> Notice:
    """An entry of the feed as a notice."""
    return Notice(fields["method"].decode(), orjson.loads(fields["key"]), orjson.loads(fields["params"]), id)

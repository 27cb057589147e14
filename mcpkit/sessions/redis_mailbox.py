"""A session's messages in Redis: stored by whichever replica serves the call, read by whichever has the client.

An event id is the id of the message's entry in a Redis stream, ``<time in ms>-<number of the stream>``. What must never
stand here: how an event is written, HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final

import orjson

from mcpkit.jsonrpc.codec import encode_error
from mcpkit.jsonrpc.errors import INTERNAL_ERROR, RpcError
from mcpkit.jsonrpc.messages import Id
from mcpkit.sessions import redis_scripts as scripts
from mcpkit.sessions.delivery import GENERAL, Stored, Take, UnknownEvent
from mcpkit.sessions.mailbox import Bounds
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.store import StoreAway

GRACE_SECONDS: Final = 2.0
"""How long a call's replica may be without a lease before the call counts as lost: its heart may just have paused."""
LOST: Final = "The replica that served this call is gone; send the request again"


class RedisMailbox:
    """See :class:`~mcpkit.sessions.delivery.Mailbox`."""

    __slots__ = ("_bounds", "_calls", "_followed", "_heard", "_readers", "_session", "closed", "link")

    def __init__(self, link: Link, session: str, bounds: Bounds) -> None:
        self.link = link
        self._session = session
        self._bounds = bounds
        self._readers: list[RedisReader] = []
        self._calls: dict[str, bytes] = {}
        self._followed: set[str] = set()
        self._heard = False
        self.closed = False

    @property
    def followed(self) -> bool:
        """Whether any stream has a reader in this process."""
        return bool(self._readers)

    @property
    def listening(self) -> bool:
        """Whether the client listens to the general stream here: then notices are told from here."""
        return any(reader.stream == GENERAL for reader in self._readers)

    def open(self, call: Id | None = None) -> str:
        """A new stream's name."""
        name = str(secrets.randbits(48) + 1)
        self._calls[name] = b"" if call is None else orjson.dumps(call)
        return name

    async def mark(self, stream: str) -> str:
        """An event id that stands before whatever comes next.

        Raises: StoreAway.
        """
        id = await self.link.run(scripts.MARK, self._session, stream, self.link.id, self._calls.get(stream, b""))
        return id.decode() if id else ""

    async def append(self, stream: str, data: bytes, *, last: bool = False, notice: str | None = None) -> str:
        """Store a message and have the stream's reader told; "" when there is nobody left to get it.

        Raises: StoreAway; a last message is stored as soon as that is over.
        """
        step = self._step(stream, data, last, notice)
        try:
            became, id, reader = await self.link.run(scripts.APPEND, *step)
        except StoreAway:
            if last:
                self.link.owe(scripts.APPEND, *step)
            raise
        if reader:
            self._followed.add(stream)
        else:
            self._followed.discard(stream)
        if last:
            self._calls.pop(stream, None)
        return id.decode() if became == b"stored" else ""

    def drop(self, stream: str) -> None:
        """End a stream that will get no last message."""
        self._calls.pop(stream, None)
        self._followed.discard(stream)
        if self.link.away:
            self.link.owe(scripts.DROP, self._session, stream)
        else:
            self.link.soon(self._drop(stream))

    def is_followed(self, stream: str) -> bool:
        """Whether a reader had the stream when something was last stored in it, or the session was last looked up."""
        return stream in self._followed

    def heard(self, reads: bool) -> None:
        """Whether any replica has a reader of the general stream, as of now."""
        (self._followed.add if reads else self._followed.discard)(GENERAL)

    def find(self, event_id: str) -> tuple[str, int]:
        """The stream and the place that the id names; whether it was ever given out is found out by the reader.

        Raises: UnknownEvent.
        """
        digits, _, stream = event_id.partition("-")
        if not _number(digits) or not _number(stream) or str(int(stream)) != stream:
            raise UnknownEvent("no such event in this session")
        return stream, int(digits)

    def follow(self, stream: str, after: int | None = None) -> RedisReader:
        """Read what comes after that place.

        Raises: UnknownEvent.
        """
        if self.closed:
            raise UnknownEvent("no such stream in this session")
        return RedisReader(self, self._session, stream, after)

    def close(self) -> None:
        """End every stream here; what is stored goes with the session."""
        self.closed = True
        self._calls.clear()
        for reader in tuple(self._readers):
            reader.wake()

    def wake(self, stream: str | None = None) -> None:
        """Have the readers of a stream, or all, look again."""
        for reader in self._readers:
            if stream is None or reader.stream == stream:
                reader.wake()

    def wake_resumed(self) -> None:
        """Have the readers of calls look whether these are still being served."""
        for reader in self._readers:
            if reader.stream != GENERAL:
                reader.wake()

    def joined(self, reader: RedisReader) -> None:
        """A reader has begun."""
        self._readers.append(reader)

    def left(self, reader: RedisReader, token: str) -> None:
        """A reader has stopped; the one before it, wherever it is, goes on in its place."""
        if reader in self._readers:
            self._readers.remove(reader)
            if not self.closed:
                self.link.soon(self._leave(reader.stream, token))

    async def declare_lost(self, stream: str, call: bytes) -> None:
        """The call of that stream will never be answered: say so, once, whoever says it first."""
        if not call:
            await self.link.run(scripts.DROP, self._session, stream)
            return
        body = encode_error(orjson.loads(call), RpcError(INTERNAL_ERROR, LOST, {"retry": True}))
        await self.link.run(scripts.APPEND, *self._step(stream, body, True, None))

    def _step(self, stream: str, data: bytes, last: bool, notice: str | None) -> tuple[Any, ...]:
        bounds = self._bounds
        return (
            *(self._session, stream, self.link.id, self._calls.get(stream, b""), data, int(last)),
            *(secrets.token_hex(8), notice or "", bounds.events, bounds.bytes, int(bounds.seconds * 1000)),
        )

    async def _drop(self, stream: str) -> None:
        await self.link.run(scripts.DROP, self._session, stream)

    async def _leave(self, stream: str, token: str) -> None:
        await self.link.run(scripts.LEAVE, self._session, stream, token)


class RedisReader:
    """Follows one stream (see :class:`~mcpkit.sessions.delivery.Reader`)."""

    __slots__ = ("_closed", "_lost_at", "_mailbox", "_news", "_place", "_session", "_sleeper", "_token", "stream")

    def __init__(self, mailbox: RedisMailbox, session: str, stream: str, after: int | None) -> None:
        self._mailbox = mailbox
        self._session = session
        self.stream = stream
        self._place = after
        self._token = secrets.token_hex(8)
        self._closed = False
        self._news = False
        self._lost_at: float | None = None
        self._sleeper: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Take the stream over.

        Raises: UnknownEvent, StoreAway.
        """
        link = self._mailbox.link
        after = "" if self._place is None else self._place
        found = await link.run(scripts.FOLLOW, self._session, self.stream, after, link.id, self._token)
        if not found.isdigit():
            raise UnknownEvent("no such event in this session, or it is too old")
        self._place = int(found)
        self._mailbox.joined(self)

    async def next(self, take: Take | None = None) -> Sequence[Stored]:
        """The messages that came since; none at all when the stream has ended. Redis hands over nothing unasked."""
        while not self._closed and not self._mailbox.closed:
            self._news = False
            try:
                found = await self._look()
            except StoreAway:  # its return wakes every reader
                found = ()
            if found is None:
                break
            if found:
                return found
            if not self._news:
                await self._sleep()
        return ()

    def wake(self) -> None:
        """Something may have changed: look again."""
        self._news = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def close(self) -> None:
        """Stop following."""
        self._closed = True
        self.wake()
        self._mailbox.left(self, self._token)

    async def _look(self) -> Sequence[Stored] | None:
        """What is new; None when nothing will be."""
        link = self._mailbox.link
        kind, *rest = await link.run(scripts.READ, self._session, self.stream, self._place, link.id, self._token)
        if kind == b"some":
            found = [_stored(id, data) for id, data in zip(rest[::2], rest[1::2], strict=True)]
            self._place = found[-1].place
            return found
        if kind == b"end":
            return None
        if kind == b"orphan":
            await self._mourn(rest[0])
        else:
            self._lost_at = None
        return ()

    async def _mourn(self, call: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if self._lost_at is None:
            self._lost_at = now
        elif now - self._lost_at >= GRACE_SECONDS:
            await self._mailbox.declare_lost(self.stream, call)
            self._news = True

    async def _sleep(self) -> None:
        self._sleeper = asyncio.get_running_loop().create_future()
        try:
            await self._sleeper
        finally:
            self._sleeper = None


def _stored(id: bytes, data: bytes) -> Stored:
    return Stored(id.decode(), int(id.partition(b"-")[0]), data)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20

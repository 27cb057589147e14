"""A mailbox in memory, and the shelf that bounds all mailboxes of a process together.

Messages leave in the order in which they came, whichever bound is met, so the oldest of a session is always the
next of it to go. What must never stand here: how an event is written, HTTP.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from mcpkit.jsonrpc.messages import Id
from mcpkit.limits import WHOLE, Bound, Shares
from mcpkit.sessions.delivery import GENERAL, Stored, Take, UnknownEvent


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept for clients: messages that wait in one session (events, bytes), in the whole process (bytes),
    and how long; bytes of what all sessions watch; one caller's share of what all may hold, in per cent."""

    events: int = 256
    bytes: int = 1 << 20
    total_bytes: int = 64 << 20
    seconds: float = 300.0
    watched_bytes: int = 32 << 20
    share: int = WHOLE


DEFAULT_BOUNDS = Bounds()
OVERHEAD = 256
"""Bytes that a stored message takes besides its data, so that many small ones are bounded too."""


@dataclass(slots=True, eq=False)  # not frozen: made for every message
class _Kept:
    """A stored message and what it takes to let it go."""

    stored: Stored
    stream: _Stream
    mailbox: MemoryMailbox
    until: float
    size: int


class Shelf:
    """All stored messages of a process, oldest first."""

    __slots__ = ("_clock", "_kept", "_of_callers", "_shares", "bounds", "crowded")

    def __init__(self, bounds: Bounds = DEFAULT_BOUNDS, clock: Callable[[], float] = monotonic) -> None:
        self.bounds = bounds
        self._clock = clock
        self._kept: OrderedDict[_Kept, None] = OrderedDict()
        self.crowded = False
        """Whether too much is kept, so that :meth:`make_room` has to be called."""
        self._of_callers: dict[str, OrderedDict[_Kept, None]] = {}
        self._shares = Shares(Bound("bytes of stored messages", "Bounds.total_bytes", bounds.total_bytes, bounds.share))

    @property
    def bytes(self) -> int:
        """What all stored messages take."""
        return self._shares.taken

    def put(self, mailbox: MemoryMailbox, stream: _Stream, stored: Stored) -> _Kept:
        """Keep a message."""
        size, caller = len(stored.data) + OVERHEAD, mailbox.caller
        kept = _Kept(stored, stream, mailbox, self._clock() + self.bounds.seconds, size)
        self.crowded = not self._shares.force(caller, size)
        self._kept[kept] = None
        if caller:
            if caller not in self._of_callers:
                self._of_callers[caller] = OrderedDict()
            self._of_callers[caller][kept] = None
        return kept

    def make_room(self, caller: str) -> None:
        """Let the oldest go until all is within the bounds: of one caller where only its share is used up."""
        shares, self.crowded = self._shares, False
        while shares.taken > shares.bound.most:
            next(iter(self._kept)).mailbox.let_go()
        while caller and shares.held(caller) > shares.bound.each:
            next(iter(self._of_callers[caller])).mailbox.let_go()

    def take(self, kept: _Kept) -> None:
        """Forget one message."""
        if self._kept.pop(kept, kept) is None:
            caller = kept.mailbox.caller
            self._shares.give(caller, kept.size)
            if caller:
                own = self._of_callers[caller]
                del own[kept]
                if not own:
                    del self._of_callers[caller]

    def expire(self) -> None:
        """Let go of what is too old."""
        now = self._clock()
        while self._kept and (oldest := next(iter(self._kept))).until <= now:
            oldest.mailbox.let_go()


@dataclass(slots=True, eq=False)
class _Stream:
    """What is known of a stream besides its messages."""

    name: str
    ended: bool = False
    gone: int = 0
    """The place of its last message that was let go: nobody can resume before it."""
    sent: int = 0
    """The place up to which a reader has got everything."""
    waiting: int = 0
    """How many of its messages are kept."""
    readers: list[MemoryReader] = field(default_factory=list)


_NONE: Final[dict[str, _Stream]] = {}
"""The streams of all mailboxes that have none yet; never written to."""


class MemoryMailbox:
    """The messages of one session (see :class:`~mcpkit.sessions.store.Mailbox`)."""

    __slots__ = ("_kept", "_names", "_place", "_shelf", "_size", "_streams", "caller", "closed")

    def __init__(self, shelf: Shelf, caller: str = "") -> None:
        self._shelf = shelf
        self.caller = caller
        """Whom its messages are counted for."""
        self._streams: dict[str, _Stream] = _NONE
        self._kept: deque[_Kept] | None = None  # most sessions never store anything
        self._size = 0
        self._place = 0
        self._names = 0
        self.closed = False

    @property
    def followed(self) -> bool:
        """Whether any stream has a reader now."""
        return any(stream.readers for stream in self._streams.values())

    @property
    def listening(self) -> bool:
        """Whether the client ever listened to the general stream."""
        return GENERAL in self._streams

    def open(self, call: Id | None = None) -> str:
        """A new stream's name."""
        self._names += 1
        return self._begin(str(self._names)).name

    async def mark(self, stream: str) -> str:
        """An event id that stands before whatever comes next."""
        self._place += 1
        return f"{stream}-{self._place}"

    async def append(self, stream: str, data: bytes, *, last: bool = False, notice: str | None = None) -> str:
        """Store a message and hand it to the stream's reader, or wake it."""
        found = self._stream(stream)
        if found is None or found.ended:
            return ""
        self._place += 1
        stored = Stored(f"{stream}-{self._place}", self._place, data)
        found.ended = last
        found.waiting += 1
        if self._kept is None:
            self._kept = deque()
        self._size += len(data) + OVERHEAD
        self._kept.append(self._shelf.put(self, found, stored))
        if self._shelf.crowded:
            self._shelf.make_room(self.caller)
        bounds = self._shelf.bounds
        while len(self._kept) > bounds.events or self._size > bounds.bytes:
            self.let_go()
        if not last and found.readers and found.readers[-1].offer(stored):
            found.sent = stored.place
        else:
            self._wake(found)
        return stored.id

    def drop(self, stream: str) -> None:
        """End a stream that will get no last message."""
        found = self._streams.get(stream)
        if found is not None:
            found.ended = True
            self._wake(found)
            self._discard(found)

    def is_followed(self, stream: str) -> bool:
        """Whether a reader has taken the stream over."""
        found = self._streams.get(stream)
        return found is not None and bool(found.readers)

    def find(self, event_id: str) -> tuple[str, int]:
        """The stream and the place of an event."""
        name, _, digits = event_id.partition("-")
        stream = self._streams.get(name)
        sound = digits.isascii() and digits.isdigit() and len(digits) < 20
        if stream is None or not sound or not stream.gone <= int(digits) <= self._place:
            raise UnknownEvent("no such event in this session, or it is too old")
        return name, int(digits)

    def follow(self, stream: str, after: int | None = None) -> MemoryReader:
        """Read what comes after that place."""
        found = self._stream(stream)
        if found is None or self.closed:
            raise UnknownEvent("no such stream in this session")
        return MemoryReader(self, found, found.sent if after is None else after)

    def close(self) -> None:
        """End every stream and forget everything."""
        self.closed = True
        while self._kept:
            self.let_go()
        streams, self._streams = self._streams, _NONE
        for stream in streams.values():
            stream.ended = True
            self._wake(stream)

    def let_go(self) -> None:
        """Forget the oldest message; called by the shelf too."""
        assert self._kept
        kept = self._kept.popleft()
        self._shelf.take(kept)
        self._size -= kept.size
        kept.stream.gone = kept.stored.place
        kept.stream.waiting -= 1
        self._discard(kept.stream)

    def since(self, stream: _Stream, place: int) -> list[Stored]:
        """The kept messages of a stream after that place."""
        if not stream.waiting or self._kept is None:
            return []
        return [kept.stored for kept in self._kept if kept.stream is stream and kept.stored.place > place]

    def left(self, stream: _Stream, reader: MemoryReader) -> None:
        """A reader has stopped; the one before it goes on in its place."""
        if reader in stream.readers:
            stream.readers.remove(reader)
            for heir in stream.readers[-1:]:
                heir.skip_to(stream.sent)
            self._wake(stream)
            self._discard(stream)

    def _stream(self, name: str) -> _Stream | None:
        found = self._streams.get(name)
        if found is None and name == GENERAL and not self.closed:
            found = self._begin(name)
        return found

    def _begin(self, name: str) -> _Stream:
        if self._streams is _NONE:
            self._streams = {}
        stream = self._streams[name] = _Stream(name)
        return stream

    def _discard(self, stream: _Stream) -> None:
        """An ended stream without messages and readers is forgotten."""
        if stream.ended and not stream.waiting and not stream.readers:
            self._streams.pop(stream.name, None)

    @staticmethod
    def _wake(stream: _Stream) -> None:
        readers = stream.readers if stream.ended else stream.readers[-1:]
        for reader in readers:
            reader.wake()


class MemoryReader:
    """Follows one stream (see :class:`~mcpkit.sessions.store.Reader`)."""

    __slots__ = ("_closed", "_mailbox", "_place", "_sleeper", "_stream", "_take")

    def __init__(self, mailbox: MemoryMailbox, stream: _Stream, after: int) -> None:
        self._mailbox = mailbox
        self._stream = stream
        self._place = after
        self._closed = False
        self._sleeper: asyncio.Future[None] | None = None
        self._take: Take | None = None
        stream.readers.append(self)

    async def begin(self) -> None:
        """It is taken over already."""

    async def next(self, take: Take | None = None) -> Sequence[Stored]:
        """The messages that came since; none at all when the stream has ended."""
        self._take = take
        stream = self._stream
        while not self._closed:
            if stream.readers and stream.readers[-1] is self:
                found = self._mailbox.since(stream, self._place)
                if found:
                    self._place = found[-1].place
                    stream.sent = max(stream.sent, self._place)
                    return found
            if stream.ended:
                break
            self._sleeper = asyncio.get_running_loop().create_future()
            try:
                await self._sleeper
            finally:
                self._sleeper = None
        return ()

    def offer(self, stored: Stored) -> bool:
        """Hand over what was stored just now; False where the reader has to look itself.

        One that waits has read all that came before.
        """
        if self._take is None or self._sleeper is None or self._sleeper.done() or not self._take(stored):
            return False
        self._place = stored.place
        return True

    def skip_to(self, place: int) -> None:
        """What comes up to there has been read by another."""
        self._place = max(self._place, place)

    def wake(self) -> None:
        """Something has changed: look again."""
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def close(self) -> None:
        """Stop following."""
        self._closed = True
        self.wake()
        self._mailbox.left(self._stream, self)

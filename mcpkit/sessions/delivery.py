"""The ports of delivery: messages that wait for their client, in order, and whoever reads or carries them.

Memory (mailbox.py) stands behind them by default, an engine shared by many replicas may (redis_mailbox.py). What must
never stand here: an implementation, HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.jsonrpc.messages import Id

GENERAL: Final = "0"
"""The stream of a session that belongs to no request: what a GET without Last-Event-ID listens to."""


class UnknownEvent(McpKitError):
    """The event id was never given out in this session, or what followed it has been dropped since."""


class Stored(NamedTuple):  # not a frozen dataclass: made for every message, and that costs thrice
    """One message as it waits: its event id, its place among all events of the session, its bytes."""

    id: str
    place: int
    data: bytes


Take: TypeAlias = Callable[[Stored], bool]
"""Sends a message at once, waiting for nothing; False where it can't."""


class Reader(Protocol):
    """Follows one stream from a place on."""

    async def begin(self) -> None:
        """Take the stream over, before anything is read.

        Raises: UnknownEvent; StoreAway.
        """

    async def next(self, take: Take | None = None) -> Sequence[Stored]:
        """The messages that came since, at least one; none when the stream or this reader has ended. Safe to cancel.

        While it waits, a message may be handed to ``take`` the moment it is stored, instead of ending the wait: where
        thousands listen, waking each of them costs more than telling them.
        """

    def close(self) -> None:
        """Stop following, and end the wait of :meth:`next`; may be called twice."""


class Mailbox(Protocol):
    """A session's outgoing messages, stored before they are sent; bounded by count, bytes and age.

    A stream is named by a short text. Event ids are unique within the session and tell their stream (SHL-30).
    """

    @property
    def followed(self) -> bool:
        """Whether any stream has a reader now."""

    @property
    def listening(self) -> bool:
        """Whether the client ever listened to :data:`GENERAL`: only then are notices kept for it."""

    def open(self, call: Id | None = None) -> str:
        """A new stream's name; ``call`` is the id of the request that it will end with an answer to."""

    async def mark(self, stream: str) -> str:
        """An event id that stands before whatever comes next, for an event without data (SHL-07)."""

    async def append(self, stream: str, data: bytes, *, last: bool = False, notice: str | None = None) -> str:
        """Store a message, hand it to the stream's reader if it has one, and return its event id.

        ``last`` ends the stream after it. ``notice`` is the message's place in a feed that several replicas tell from:
        what stands before or at the last one told is told already, and the id is then "", as for a stream that has
        ended. Raises: StoreAway.
        """

    def drop(self, stream: str) -> None:
        """End a stream that will get no last message."""

    def is_followed(self, stream: str) -> bool:
        """Whether a reader has taken the stream over from the response on which it began; ask after appending."""

    def find(self, event_id: str) -> tuple[str, int]:
        """The stream and the place of an event.

        Raises: UnknownEvent.
        """

    def follow(self, stream: str, after: int | None = None) -> Reader:
        """Read what comes after that place; with None what no reader has got yet.

        Of several readers the newest gets the messages (SHL-26, SHL-27). Raises: UnknownEvent.
        """

    def close(self) -> None:
        """End every stream and forget everything."""


class Outbox(Protocol):
    """The one live stream of a session over HTTP+SSE."""

    async def put(self, data: bytes) -> None:
        """Send a message; waits while the client is slow to read. Dropped when the stream has ended."""

    def offer(self, data: bytes) -> None:
        """Send a message if there is room at once; otherwise drop it."""

    def close(self) -> None:
        """End the stream; may be called twice."""

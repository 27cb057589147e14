"""Server-sent events, both directions: bytes of one event out, events out of any chunks of bytes in.

The format is the one of the WHATWG HTML standard §9.2. What must never stand here: I/O, what an event means.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcpkit.framing.breaks import escape_breaks


class EventTooLarge(ValueError):
    """The peer sends an event larger than we are willing to hold; the stream can't be read any further."""


@dataclass(slots=True)
class Event:
    """One event; ``id`` and ``retry`` (milliseconds) only where this very event carried them."""

    data: str
    event: str = "message"
    id: str | None = None
    retry: int | None = None


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode_event(data: bytes, *, id: str | None = None, event: str | None = None, retry: int | None = None) -> bytes:
    """One event, ready to be sent; ``retry`` in milliseconds. Without ``event`` its name is "message".

    ``data`` is JSON or ASCII: what some readers take for a line break in it is escaped.

    Raises: ValueError when ``data``, ``id`` or ``event`` holds a line break, which would end the field.
    """
    if b"\n" in data or b"\r" in data:
        raise ValueError("the data of an event must be one line")
    data = escape_breaks(data)
    if id is None and event is None and retry is None:
        return b"data: %b\n\n" % data
    head = b"" if event is None else _field(b"event", event)
    head += b"" if id is None else _field(b"id", id)
    head += b"" if retry is None else b"retry: %d\n" % retry
    return b"%bdata: %b\n\n" % (head, data)


def comment(text: str = "") -> bytes:
    """A comment: keeps a connection alive, means nothing."""
    return b": %b\n\n" % text.replace("\r", " ").replace("\n", " ").encode() if text else b":\n\n"


def _field(name: bytes, value: str) -> bytes:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(f"the {name.decode()} of an event must be one line")
    return b"%b: %b\n" % (name, value.encode())


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class EventDecoder:
    """Chunks of bytes in, events out. What follows the last blank line at the end of a stream is no event.

    ``last_event_id`` and ``retry`` (milliseconds) are what a reconnecting client needs; they also change by events
    without data, which are not handed out.
    """

    __slots__ = ("_after_cr", "_at_start", "_data", "_event", "_held", "_max", "_partial", "last_event_id", "retry")

    def __init__(self, max_event_bytes: int) -> None:
        self.last_event_id: str | None = None
        self.retry: int | None = None
        self._max = max_event_bytes
        self._partial = bytearray()  # the line whose end has not come yet
        self._data: list[str] = []
        self._held = 0  # bytes in the data lines of the event being read; comments of a long life must not add up
        self._event = Event("")
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that ``chunk`` completes.

        Raises: EventTooLarge.
        """
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        events = []
        # Line ends are ASCII, so no character of UTF-8 is ever cut: lines are decoded whole.
        for line in chunk.splitlines(keepends=True):
            event = self._piece(line)
            if event is not None:
                events.append(event)
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return events

    def _piece(self, piece: bytes) -> Event | None:
        self._partial += piece
        if self._held + len(self._partial) > self._max:
            raise EventTooLarge(f"an event of the peer is larger than {self._max} bytes")
        if not piece.endswith((b"\n", b"\r")):
            return None
        line = self._partial.rstrip(b"\r\n").decode("utf-8", "replace")
        if self._at_start:
            self._at_start = False
            line = line.removeprefix("\ufeff")
        event = self._line(line)
        self._partial.clear()
        return event

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._held += len(self._partial)
            self._data.append(value)
        elif name == "event":
            self._event.event = value or "message"
        elif name == "id" and "\0" not in value:
            self._event.id = self.last_event_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._event.retry = self.retry = int(value[:15])
        return None

    def _dispatch(self) -> Event | None:
        event, self._event, self._held = self._event, Event(""), 0
        if not self._data:
            return None
        event.data = "\n".join(self._data)
        self._data.clear()
        return event

"""Framing under arbitrary cuts: how the bytes arrive never changes what is read (SHC-12, STDIO-02)."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from mcpkit.framing.ndjson import Line, LineDecoder, Overlong, encode_line
from mcpkit.framing.sse import Event, EventDecoder, EventTooLarge, encode_event

one_line = st.text().map(lambda s: re.sub("[\r\n\0\ud800-\udfff]", "", s))
tokens = [b"data", b":", b": ", b"id", b"event", b"retry: 5", b"\r", b"\n", b"\r\n", b"\n\n", b"\xef\xbb\xbf"]
stream = st.lists(st.sampled_from(tokens) | st.binary(max_size=5), max_size=40).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in chunks, cut at ``places`` (modulo its length)."""
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def read_events(chunks: list[bytes], limit: int) -> tuple[list[Event], bool, str | None]:
    decoder = EventDecoder(limit)
    events: list[Event] = []
    for chunk in chunks:
        try:
            events += decoder.feed(chunk)
        except EventTooLarge:
            return events, True, None
    return events, False, decoder.last_event_id


@given(stream, st.lists(st.integers(min_value=0)))
def test_events_do_not_depend_on_the_chunks(data: bytes, places: list[int]) -> None:
    """TCLI-07."""
    assert read_events(cut(data, places), 1000) == read_events([data], 1000)


@given(stream, st.lists(st.integers(min_value=0)), st.integers(1, 30))
def test_the_bound_does_not_depend_on_the_chunks(data: bytes, places: list[int], limit: int) -> None:
    """TCLI-07: whether an event is too large is a matter of its bytes alone, to the length of a line end."""
    _, whole, _ = read_events([bytes([byte]) for byte in data], limit)
    _, pieces, _ = read_events(cut(data, places), limit + 2)
    assert whole or not pieces


def reference(data: bytes) -> list[Event]:
    """The standard's algorithm, written down a second time, over the whole text at once."""
    lines = re.split("\r\n|\r|\n", data.decode("utf-8", "replace").removeprefix("\ufeff"))
    events, event, parts = [], Event(""), list[str]()
    for line in lines[:-1]:
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if line == "":
            if parts:
                event.data = "\n".join(parts)
                events.append(event)
            event, parts = Event(""), []
        elif field == "data":
            parts.append(value)
        elif field == "event":
            event.event = value or "message"
        elif field == "id" and "\0" not in value:
            event.id = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            event.retry = int(value)
    return events


@given(stream)
def test_events_are_what_the_standard_says(data: bytes) -> None:
    """SHC-12, WHATWG HTML §9.2.6."""
    assert read_events([data], 10_000)[0] == reference(data)


@given(st.lists(st.tuples(one_line, one_line, st.none() | one_line)), st.lists(st.integers(min_value=0)))
def test_events_survive_the_wire(sent: list[tuple[str, str, str | None]], places: list[int]) -> None:
    """SHC-12: JSON as data."""
    texts = [(json.dumps(data, ensure_ascii=False), name, id) for data, name, id in sent]
    wire = b"".join(encode_event(text.encode(), event=name, id=id) for text, name, id in texts)
    events, _, _ = read_events(cut(wire, places), 10_000)
    # One space after the colon belongs to the format, so a value keeps the ones that it had.
    assert [replace(event, data=json.loads(event.data)) for event in events] == [
        Event(data, name or "message", id) for data, name, id in sent
    ]


def read_lines(chunks: list[bytes], limit: int) -> list[Line]:
    decoder = LineDecoder(limit)
    return [line for chunk in chunks for line in decoder.feed(chunk)] + decoder.finish()


@given(st.lists(st.sampled_from([b"{}", b"\n", b"\r\n", b" ", b"long"]) | st.binary(max_size=5)), st.data())
def test_lines_do_not_depend_on_the_chunks(pieces: list[bytes], data: st.DataObject) -> None:
    """STDIO-02, STDIO-09: neither their bytes nor which of them are over-long."""
    wire, limit = b"".join(pieces), data.draw(st.integers(1, 12))
    expected: list[Line] = []
    assume(not wire.startswith(b"\xef\xbb\xbf"))  # a byte order mark is no part of the first line
    for raw in wire.split(b"\n"):
        line = raw.strip(b" \t\r")
        if len(raw) > limit:
            expected.append(Overlong(limit))
        elif line:
            expected.append(line)
    assert read_lines(cut(wire, data.draw(st.lists(st.integers(min_value=0)))), limit) == expected


@given(st.lists(one_line))
def test_lines_survive_the_wire(sent: list[str]) -> None:
    """STDIO-02: JSON, whatever its texts hold."""
    wire = b"".join(encode_line(json.dumps(text, ensure_ascii=False).encode()) for text in sent)
    lines = read_lines([wire], 10_000)
    assert [json.loads(line) for line in lines if isinstance(line, bytes)] == sent

"""Server-sent events: what we write, and what we read however the bytes are cut (SHC-12, TCLI-07)."""

from __future__ import annotations

import pytest

from mcpkit.framing.sse import Event, EventDecoder, EventTooLarge, comment, encode_event


def events(*chunks: bytes, limit: int = 1000) -> list[Event]:
    decoder = EventDecoder(limit)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


class TestEncode:
    def test_an_event_is_one_line_of_data(self) -> None:
        """SHC-12: no name means "message"."""
        assert encode_event(b'{"a":1}') == b'data: {"a":1}\n\n'
        whole = encode_event(b"{}", id="7", event="endpoint", retry=1500)
        assert whole == b"event: endpoint\nid: 7\nretry: 1500\ndata: {}\n\n"
        assert encode_event(b"", id="0") == b"id: 0\ndata: \n\n"

    @pytest.mark.parametrize("bad", ["a\nb", "a\rb"])
    def test_no_field_can_end_itself(self, bad: str) -> None:
        """SHC-12: a line break in a value would start a field of the sender's choice."""
        with pytest.raises(ValueError, match="one line"):
            encode_event(bad.encode())
        with pytest.raises(ValueError, match="one line"):
            encode_event(b"", id=bad)
        with pytest.raises(ValueError, match="one line"):
            encode_event(b"", event=bad)
        with pytest.raises(ValueError, match="one line"):
            encode_event(b"", id="a\0")

    def test_comments_mean_nothing(self) -> None:
        """SHC-14."""
        assert comment() == b":\n\n"
        assert comment("still here\n\ndata: x") == b": still here  data: x\n\n"
        assert events(comment(), comment("x"), b"data: 1\n\n") == [Event("1")]


class TestDecode:
    def test_reads_back_what_was_written(self) -> None:
        """SHC-12."""
        wire = encode_event("中".encode(), id="7", event="e", retry=5) + encode_event(b"{}")
        assert events(wire) == [Event("中", "e", "7", 5), Event("{}")]

    @pytest.mark.parametrize("newline", [b"\n", b"\r", b"\r\n"])
    def test_any_line_end_and_any_cut(self, newline: bytes) -> None:
        """TCLI-07: LF, CR and CRLF; every single cut, inside a character or a CRLF too."""
        wire = newline.join([b"event: \xe4\xb8\xad", b"data: \xf0\x9f\x98\x80", b"data:b", b"", b"data: 2", b"", b""])
        expected = [Event("😀\nb", "中"), Event("2")]
        assert events(wire) == expected
        for cut in range(len(wire)):
            assert events(wire[:cut], wire[cut:]) == expected
        assert events(*(wire[i : i + 1] for i in range(len(wire)))) == expected

    def test_an_empty_chunk_between_cr_and_lf(self) -> None:
        """TCLI-07: nothing read is no reason to see a blank line."""
        assert events(b"data: 1\r", b"", b"\ndata: 2\r", b"\n", b"", b"\n") == [Event("1\n2")]

    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (b"\xef\xbb\xbfdata: 1\n\n", [Event("1")]),
            (b"\xef\xbb\xbf\ndata: 1\n\n", [Event("1")]),
            (b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [Event("1")]),
            (b"data:1\n\n", [Event("1")]),
            (b"data:  1\n\n", [Event(" 1")]),
            (b"data\n\n", [Event("")]),
            (b"data\ndata\n\n", [Event("\n")]),
            (b"data: a:b\n\n", [Event("a:b")]),
            (b":c\nfoo: bar\ndata: 1\nDATA: 2\n data: 3\n\n", [Event("1")]),
            (b"event: x\n\ndata: 1\n\n", [Event("1")]),
            (b"event:\ndata: 1\n\n", [Event("1")]),
            (b"event: x\nevent: y\ndata: 1\n\n", [Event("1", "y")]),
            (b"id: a\0b\ndata: 1\n\n", [Event("1")]),
            (b"id\ndata: 1\n\n", [Event("1", id="")]),
            (b"retry: 1s\ndata: 1\n\n", [Event("1")]),
            (b"retry: \xc2\xb2\ndata: 1\n\n", [Event("1")]),
            (b"data: \xff\n\n", [Event("\ufffd")]),
            (b"data: 1\n", []),
            (b"data: 1", []),
            (b"\n\n\n", []),
            (b"", []),
        ],
    )
    def test_the_standard_s_corners(self, wire: bytes, expected: list[Event]) -> None:
        """TCLI-07, WHATWG HTML §9.2.6: fields, comments, the BOM, an unfinished event."""
        assert events(wire) == expected

    def test_an_id_without_data_is_remembered_for_the_reconnect(self) -> None:
        """SHL priming events: an id may come before anything is said; the retry time likewise."""
        decoder = EventDecoder(100)
        assert decoder.feed(b"") == []
        assert decoder.feed(b"id: 5\nretry: 300\n\n") == []
        assert (decoder.last_event_id, decoder.retry) == ("5", 300)
        assert decoder.feed(b"data: 1\n\n") == [Event("1")]
        assert decoder.last_event_id == "5"

    def test_one_event_is_bounded_a_stream_is_not(self) -> None:
        """TCLI-07: a line without end, an event without end; comments and events that come and go don't add up."""
        with pytest.raises(EventTooLarge, match="100 bytes"):
            events(b"data: " + b"x" * 100, limit=100)
        with pytest.raises(EventTooLarge):
            events(*[b": "] * 60, limit=100)
        with pytest.raises(EventTooLarge):
            events(*[b"data: 12345\n"] * 10, limit=100)
        assert (
            events(*[b": 34567890\n"] * 100, *[b"data: 1234567890\n\n"] * 100, *[b":\n"] * 200, limit=100)
            == [Event("1234567890")] * 100
        )

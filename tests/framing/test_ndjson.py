"""Lines: one message each, whatever the chunks, and memory that stays bounded (STDIO-02, STDIO-07, STDIO-09)."""

from __future__ import annotations

import pytest

from mcpkit.framing.ndjson import Line, LineDecoder, Overlong, encode_line


def lines(*chunks: bytes, limit: int = 8) -> list[Line]:
    decoder = LineDecoder(limit)
    return [line for chunk in chunks for line in decoder.feed(chunk)] + decoder.finish()


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"", []),
        (b"a\n", [b"a"]),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\n\n \t\r\n\r\nb\n", [b"a", b"b"]),
        (b" a \n", [b"a"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\xe2\x80\xa8b\n", [b"a\xe2\x80\xa8b"]),
        (b"\x0ca\n", [b"\x0ca"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n \r", [b"a"]),
        (b"12345678\n", [b"12345678"]),
        (b"123456789\nb\n", [Overlong(8), b"b"]),
        (b"a\n123456789", [b"a", Overlong(8)]),
        (b"123456789\n123456789\n\nb", [Overlong(8), Overlong(8), b"b"]),
    ],
)
def test_lines_of_any_cut(wire: bytes, expected: list[Line]) -> None:
    """STDIO-02, STDIO-07: CRLF for LF, blank lines skipped, only LF ends a line, the last line may lack it."""
    assert lines(wire) == expected
    for cut in range(len(wire)):
        assert lines(wire[:cut], wire[cut:]) == expected
    assert lines(*(wire[i : i + 1] for i in range(len(wire)))) == expected


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"\xef\xbb\xbf{}\n{}\n", [b"{}", b"{}"]),
        (b"\xef\xbb\xbf\r\n{}", [b"{}"]),
        (b"\xef\xbb\xbf", []),
        (b"{}\n\xef\xbb\xbf{}\n", [b"{}", b"\xef\xbb\xbf{}"]),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}\n", [b"\xef\xbb\xbf{}"]),
        (b"\xef\xbb\n", [b"\xef\xbb"]),
        (b"\xef", [b"\xef"]),
    ],
)
def test_one_byte_order_mark_may_stand_before_everything(wire: bytes, expected: list[Line]) -> None:
    """Some shells write it first; anywhere else it is an error like other junk."""
    assert lines(wire) == expected
    for cut in range(len(wire)):
        assert lines(wire[:cut], wire[cut:]) == expected
    assert lines(*(wire[i : i + 1] for i in range(len(wire)))) == expected


def test_an_overlong_line_is_told_at_once_and_once() -> None:
    """STDIO-09: thrown away up to the next newline, without being held."""
    decoder = LineDecoder(8)
    assert decoder.feed(b"1234567890") == [Overlong(8)]
    for _ in range(100):
        assert decoder.feed(b"more of it") == []
    assert decoder.feed(b"end\nok\n") == [b"ok"]
    assert decoder.feed(b"ok\n") == [b"ok"]


def test_a_line_is_encoded_with_one_newline() -> None:
    """STDIO-07: LF only."""
    assert encode_line(b"{}") == b"{}\n"

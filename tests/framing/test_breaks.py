"""Line separators of Unicode inside JSON texts (STDIO-07)."""

from __future__ import annotations

import json

import pytest

from mcpkit.framing.breaks import escape_breaks
from mcpkit.framing.ndjson import encode_line
from mcpkit.framing.sse import encode_event

EVERY = "".join(chr(code) for code in (*range(0x3000), 0xFEFF, 0x1F600))


@pytest.mark.parametrize(
    "text", ["", "plain", "\u2028", "a\u2029b\x85", "– “quoted” …", "\u2027\u202a", EVERY, "\\\u2028"]
)
def test_no_reader_sees_more_lines_than_there_are(text: str) -> None:
    """Those that split at every line break that Unicode knows, too; the value is the same."""
    message = json.dumps({"text": text, text: 1}, ensure_ascii=False).encode()
    escaped = escape_breaks(message)
    assert json.loads(escaped) == json.loads(message)
    assert len(escaped.decode().splitlines()) == 1
    assert encode_line(message).decode().splitlines() == [escaped.decode()]
    assert encode_event(message).decode().splitlines() == ["data: " + escaped.decode(), ""]


def test_what_needs_no_escape_is_not_copied() -> None:
    message = "ünïcode 中文".encode()
    assert escape_breaks(message) is message

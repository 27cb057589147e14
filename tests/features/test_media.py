"""MIME types and base64."""

from __future__ import annotations

import pytest

from mcpkit.features.media import checked_mime, guess_by_bytes, guess_by_name, is_text, to_base64


@pytest.mark.parametrize("mime_type", ["image/png", "application/vnd.api+json", "text/plain; charset=utf-8"])
def test_mime_types_pass(mime_type: str) -> None:
    """TCON-06."""
    assert checked_mime(mime_type) == mime_type


@pytest.mark.parametrize("mime_type", ["", "png", "image/", "image/png\r\nX: y", "a b/c", "image/ png"])
def test_other_texts_do_not(mime_type: str) -> None:
    """TCON-06."""
    with pytest.raises(ValueError, match="is no MIME type"):
        checked_mime(mime_type)


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell(data: bytes, mime_type: str | None) -> None:
    assert guess_by_bytes(data) == mime_type


def test_the_ending_tells() -> None:
    assert guess_by_name("docs://a/b.md?x=1.png#c") == "text/markdown"
    assert guess_by_name("config://settings") is None


@pytest.mark.parametrize(
    ("mime_type", "text"), [("text/html; charset=x", True), ("image/svg+xml", True), ("image/png", False)]
)
def test_textual_types(mime_type: str, text: bool) -> None:
    assert is_text(mime_type) is text


def test_base64_is_standard_and_padded() -> None:
    """TCON-06, RSRC-11."""
    assert to_base64(b"\xfb\xff\xfe?") == "+//+Pw=="
    assert to_base64("+//+Pw==") == "+//+Pw=="
    for bad in ("+//+Pw", "-__-Pw==", "not base64!"):
        with pytest.raises(ValueError, match="must be base64"):
            to_base64(bad)

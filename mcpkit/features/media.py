"""MIME types and base64: what bytes are, and how they travel. What must never stand here: content blocks, resources."""

from __future__ import annotations

import mimetypes
import re
from base64 import b64decode, b64encode
from typing import Final

_MIME: Final = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(\s*;.*)?", re.ASCII)
_TEXTUAL: Final = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/javascript", "application/toml"}
)
_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_BRANDS: Final = {b"avif": "image/avif", b"heic": "image/heic", b"M4A ": "audio/mp4"}
"""Kinds of ISO media files; all others are videos."""


def checked_mime(mime_type: str) -> str:
    """The MIME type, if it is one.

    Raises: ValueError.
    """
    if not _MIME.fullmatch(mime_type):
        raise ValueError(f"{mime_type[:80]!r} is no MIME type; write one such as 'image/png'")
    return mime_type


def guess_by_name(name: str) -> str | None:
    """The MIME type that a file name or URI ends like."""
    return mimetypes.guess_type(name.split("?", 1)[0].split("#", 1)[0], strict=False)[0]


def guess_by_bytes(data: bytes) -> str | None:
    """The MIME type that the first bytes tell."""
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video/mp4")
    if data[:2] == b"BM" and data[6:10] == bytes(4):  # two letters alone may begin a text
        return "image/bmp"
    return next((mime_type for magic, mime_type in _MAGIC if data.startswith(magic)), None)


def is_text(mime_type: str) -> bool:
    """Whether content of this type is read as text."""
    bare = mime_type.split(";", 1)[0].strip().lower()
    return bare.startswith("text/") or bare in _TEXTUAL or bare.endswith(("+json", "+xml", "+yaml"))


def to_base64(data: bytes | str) -> str:
    """Bytes in base64; a text must be base64 already (TCON-06: standard alphabet, padded).

    Raises: ValueError.
    """
    if isinstance(data, bytes):
        return b64encode(data).decode("ascii")
    try:
        b64decode(data, validate=True)
    except ValueError:
        raise ValueError("data given as str must be base64, with its padding; give bytes to have it encoded") from None
    return data

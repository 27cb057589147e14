"""The example resources: the settings, a picture, and every document beneath the files root as a template.

What must never stand here: a secret, a path of this machine, the walk through directories (files.py).
"""

from __future__ import annotations

import struct
import zlib
from mimetypes import guess_type
from typing import Any, Final

from mcpkit import ResourceContents, Settings
from mcpkit.protocol.revisions.registry import SUPPORTED
from routers.base_router import MCPBaseRouter
from routers.files import FileRefused, FileRoot, FileTooLarge

PICTURE_SIZE: Final = 64


def register_resources(router: MCPBaseRouter, settings: Settings) -> None:
    """Offer the example resources."""
    files = FileRoot(settings.files_root)
    picture = png(PICTURE_SIZE)

    @router.resource("config://settings", mime_type="application/json")
    def server_settings() -> dict[str, Any]:
        """How this server is set up, without secrets and without paths of its machine."""
        return described(router.server.name, router.server.version, settings)

    @router.resource("image://logo.png", mime_type="image/png")
    def logo() -> bytes:
        """A small picture, to try how a client shows binary content."""
        return picture

    @router.resource("file:///{path*}", completions={"path": lambda typed: suggestions(files, typed)})
    def document(path: str) -> ResourceContents:
        """A document beneath the files root: text as text, anything else as a blob."""
        try:
            content = files.read(path)
        except FileTooLarge:
            raise
        except FileRefused as refused:  # outside looks exactly like missing
            raise FileNotFoundError(path) from refused
        kind = guess_type(path)[0]
        try:
            return ResourceContents(content.decode("utf-8"), kind or "text/plain")
        except UnicodeDecodeError:
            return ResourceContents(content, kind or "application/octet-stream")


def suggestions(files: FileRoot, typed: str) -> list[str]:
    """The paths that begin as typed so far; a directory's ends in a slash, to go on from."""
    directory, slash, _ = typed.rpartition("/")
    try:
        entries = files.listing(directory or ".").entries
    except FileRefused:
        return []
    paths = [f"{directory}{slash}{entry.name}{'/' if entry.type == 'directory' else ''}" for entry in entries]
    return [path for path in paths if path.startswith(typed)]


def described(name: str, version: str, settings: Settings) -> dict[str, Any]:
    """What anyone may know of the settings."""
    return {
        "name": name,
        "version": version,
        "protocolVersions": list(SUPPORTED),
        "shutdown": settings.shutdown,
        "sample": {"configured": bool(settings.base_url and settings.model_name), "model": settings.model_name},
        "limits": {
            "bodyBytes": settings.max_body_bytes,
            "resultBytes": settings.max_result_bytes,
            "toolSeconds": settings.tool_seconds,
            "batch": settings.max_batch,
        },
    }


def png(size: int) -> bytes:
    """A square picture as a PNG file: two colours that run into each other."""
    rows = b"".join(
        b"\0" + bytes(value for x in range(size) for value in (255 * x // size, 96, 255 * y // size))
        for y in range(size)
    )
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""One message, one line: the framing of stdio and of any other reliable byte stream, both directions.

What must never stand here: I/O, JSON (a line is bytes), what to answer to an over-long line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from mcpkit.framing.breaks import escape_breaks

BOM: Final = b"\xef\xbb\xbf"
_PADDING: Final = b" \t\r"
_START: Final = 4096


@dataclass(frozen=True, slots=True)
class Overlong:
    """Stands where a line longer than ``limit`` bytes was thrown away."""

    limit: int
    start: bytes = field(default=b"", compare=False, repr=False)
    """The first bytes of the line, in which a reader may find whom it was meant for."""


Line: TypeAlias = bytes | Overlong


def encode_line(data: bytes) -> bytes:
    """The line that carries ``data``, JSON without a newline; what some readers take for one is escaped."""
    return escape_breaks(data) + b"\n"


class LineDecoder:
    """Chunks of bytes in, lines out: CRLF is taken for LF, blank lines are skipped, memory stays bounded.

    A byte order mark before the first line is left out: some shells put one before what they pipe (RFC 8259 §8.1).
    """

    __slots__ = ("_began", "_max", "_overlong", "_partial")

    def __init__(self, max_line_bytes: int) -> None:
        self._max = max_line_bytes
        self._partial = bytearray()  # the line whose end has not come yet
        self._overlong = False
        self._began = False

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that ``chunk`` completes; an over-long one is reported once, as soon as it is too long."""
        lines: list[Line] = []
        if not self._began:
            chunk = self._begin(chunk)
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if self._partial or self._overlong:
                self._grow(piece, lines)
                self._end(lines)
            elif len(piece) > self._max:
                lines.append(Overlong(self._max, piece[:_START]))
            elif line := piece.strip(_PADDING):
                lines.append(line)
        if rest:
            self._grow(rest, lines)
        return lines

    def finish(self) -> list[Line]:
        """The last line, where the stream ended without a newline."""
        lines: list[Line] = []
        self._end(lines)
        return lines

    def _begin(self, chunk: bytes) -> bytes:
        """The first bytes of the stream without a byte order mark; nothing as long as there may be one."""
        chunk = bytes(self._partial) + chunk
        self._partial.clear()
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            self._partial += chunk
            return b""
        self._began = True
        return chunk.removeprefix(BOM)

    def _grow(self, piece: bytes, lines: list[Line]) -> None:
        if self._overlong:
            return
        self._partial += piece
        if len(self._partial) > self._max:
            self._overlong = True
            lines.append(Overlong(self._max, bytes(self._partial[:_START])))
            self._partial.clear()

    def _end(self, lines: list[Line]) -> None:
        line = bytes(self._partial.strip(_PADDING))
        self._partial.clear()
        self._overlong = False
        if line:
            lines.append(line)

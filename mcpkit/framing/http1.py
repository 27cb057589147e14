"""HTTP/1.x requests as bytes: where each one ends, by rules so strict that no two parsers can read them in two ways.

It stands before whichever parser is in use and hands on only what it has understood: whole heads, then bodies as their
length says (RFC 9112). Request smuggling lives on the difference between two readers; here there is none. What must
never stand here: sockets, what a header means beyond framing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MAX_OVERHEAD: Final = 64 * 1024
"""Bytes by which all that frames the chunks of a body may exceed what they hold: tiny ones and extensions cost time."""
MAX_LINE: Final = 1024
"""Bytes of one chunk's size and extensions."""
MAX_TRAILER: Final = 8 * 1024
MAX_CHUNK: Final = 1 << 40
PIECE: Final = 16 * 1024
"""Bytes of a chunked body that are looked at together: more than what may have to wait for the rest of it."""
LEADING_LINES: Final = 2
"""Empty lines before a request that are forgiven (RFC 9112 §2.2)."""
METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE"})
"""What every parser knows; which of them a URL takes is not decided here."""

_NAME: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_TEXT: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
_LINE: Final = rb"(%b) ([\x21-\x7e]++) HTTP/([0-9]\.[0-9])\r\n" % _NAME
_HEAD: Final = re.compile(rb"%b(?:%b:%b\r\n)*+\r\n" % (_LINE, _NAME, _TEXT))
_FIRST_LINE: Final = re.compile(_LINE)
_FRAMING: Final = re.compile(rb"\r\n(content-length|transfer-encoding|upgrade|host):([^\r]*)", re.IGNORECASE)
_UPGRADE: Final = re.compile(rb"\r\nupgrade:[^\r]*", re.IGNORECASE)
_HOST: Final = re.compile(rb"\r\nhost:[ \t]*+([^\r]*+)\r\n", re.IGNORECASE)
_BLANKS_AT_THE_END: Final = re.compile(rb"(?<![ \t])[ \t]++(?=\r)")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"[0-9]{1,20}")
_ODD: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(;%b)?" % _TEXT)
_FIELDS: Final = re.compile(rb"(?:%b:%b\r\n)*+\r\n" % (_NAME, _TEXT))
_NO_TRAILER: Final = re.compile(rb"(?:^|\n)(?:content-length|transfer-encoding|host|authorization):", re.IGNORECASE)


class BadHttp(Exception):
    """Bytes that are no request; ``status`` and the message are the answer, and the connection ends with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class RequestFramer:
    """Follows the requests on one connection."""

    __slots__ = ("_begun", "_held", "_left", "_lines", "_most", "_overhead", "_seen", "_state", "_uri")

    def __init__(self, head_bytes: int, uri_bytes: int) -> None:
        """Longer heads, and longer first lines, are faults."""
        self._most = head_bytes
        self._uri = uri_bytes
        self._held = b""
        """What can't be handed on before more has come."""
        self._state: Callable[[bytes, list[bytes]], bytes] = self._head
        self._left = self._overhead = self._lines = self._seen = 0
        self._begun = False

    @property
    def idle(self) -> bool:
        """Between two requests, with nothing of the next one."""
        return self._state == self._head and not self._held

    @property
    def held(self) -> int:
        """Bytes that have come and could not be handed on yet."""
        return len(self._held)

    def close(self) -> None:
        """Forget them: nothing will follow."""
        self._held = b""

    def end(self) -> None:
        """The connection is gone. What refers to itself would wait for the garbage collector."""
        self.close()
        self._state = _nothing

    @property
    def between(self) -> bool:
        """Whether no request has been handed on in part: what comes next is the next one's head."""
        return self._state == self._head

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """What may be handed on of one request, perhaps nothing yet, and what came after its end, unread.

        Raises: BadHttp; nothing more can be understood on this connection then.
        """
        understood: list[bytes] = []
        data, self._held = self._held + data, b""
        while data and not (understood and self._state == self._head):
            in_chunks = len(data) > PIECE and self._state not in (self._head, self._body)
            data = self._piecemeal(data, understood) if in_chunks else self._state(data, understood)
        return b"".join(understood), data

    # ── heads ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _head(self, data: bytes, understood: list[bytes]) -> bytes:
        if data.startswith(b"\r\n") and self._lines < LEADING_LINES:
            self._lines += 1
            return data[2:]
        end = data.find(b"\r\n\r\n", max(0, self._seen - 3)) + 4
        if end < 4:
            self._wait_for_head(data)
            return b""
        if end > self._most or data.find(b"\r\n") > self._uri:
            raise self._too_long(data)
        head = data[:end]
        understood.append(self._checked(head))
        self._lines, self._seen, self._begun = 0, 0, False
        return data[end:]

    def _wait_for_head(self, data: bytes) -> None:
        self._held = data
        if len(data) > self._most:
            raise self._too_long(data)
        if _ODD.search(data, max(0, self._seen - 1)):
            raise _malformed()
        self._seen = len(data)
        if not self._begun and b"\r\n" in data:
            self._begun = True
            if not _FIRST_LINE.match(data):
                raise _malformed()
        elif not self._begun and len(data) > self._uri + 1:  # half a line end is none of it
            raise self._too_long(data)

    def _too_long(self, data: bytes) -> BadHttp:
        if len(data.partition(b"\r\n")[0]) > self._uri:
            return BadHttp(414, "The URI is too long; the limit is MCP_MAX_URI_BYTES")
        return BadHttp(431, "The header block is too large; see MCP_MAX_HEADER_BYTES, MCP_MAX_HEADER_FIELDS")

    def _checked(self, head: bytes) -> bytes:
        """The head as any parser understands it, once it is known how the body is framed."""
        found = _HEAD.fullmatch(head)
        if found is None:
            raise _malformed()
        method, target, version = found.groups()
        if version not in {b"1.1", b"1.0"}:
            raise BadHttp(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
        if method not in METHODS:
            raise BadHttp(501, "This method is not known here; see the Allow header of a GET")
        framing = _FRAMING.findall(head)
        hosts = sum(name[0] in b"Hh" for name, _ in framing)
        if hosts > 1 or (version == b"1.1" and not hosts):
            raise BadHttp(400, "One Host header is needed, and no more than one")
        self._expect_body(framing, version)
        if b" \r" in head or b"\t\r" in head:  # parsers differ in whether they take these for a part of the value
            head = _BLANKS_AT_THE_END.sub(b"", head)
        if any(name.lower() == b"upgrade" for name, _ in framing):  # nothing to change to; some parsers would wait
            head = _UPGRADE.sub(b"", head)
        if target[0] != 0x2F or b"#" in target:
            head = _to_origin_form(head, method, target)
        return head

    def _expect_body(self, framing: list[tuple[bytes, bytes]], version: bytes) -> None:
        lengths = [value.strip(b" \t") for name, value in framing if name[0] in b"Cc"]
        codings = [value.strip(b" \t").lower() for name, value in framing if name[0] in b"Tt"]
        if len(lengths) + len(codings) > 1:
            raise BadHttp(400, "One Content-Length or one Transfer-Encoding says where a body ends, never two fields")
        if codings:
            if codings[0] != b"chunked" or version != b"1.1":
                raise BadHttp(400, "Transfer-Encoding can only be chunked, and not in HTTP/1.0")
            self._overhead = 0
            self._state = self._size
            return
        if lengths and not _LENGTH.fullmatch(lengths[0]):
            raise BadHttp(400, "The Content-Length is not a number")
        self._left = int(lengths[0]) if lengths else 0
        self._state = self._body if self._left else self._head

    # ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _body(self, data: bytes, understood: list[bytes]) -> bytes:
        understood.append(data[: self._left])
        rest = data[self._left :]
        self._left -= len(understood[-1])
        if not self._left:
            self._state = self._head
        return rest

    def _piecemeal(self, data: bytes, understood: list[bytes]) -> bytes:
        """Chunks may be tiny, and what comes after one is copied: never all of what has come, for each of them."""
        piece, rest = data[:PIECE], data[PIECE:]
        while piece and self._state != self._head:
            piece = self._state(piece, understood)
        held, self._held = self._held, b""
        return held + piece + rest

    def _size(self, data: bytes, understood: list[bytes]) -> bytes:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            if len(data) > MAX_LINE or _ODD.search(data):
                raise _bad_chunk()
            self._held = data
            return b""
        found = _CHUNK.fullmatch(line)
        if found is None or len(line) > MAX_LINE:
            raise _bad_chunk()
        self._left = int(found[1], 16)
        if self._left > MAX_CHUNK:
            raise _bad_chunk()
        self._overhead = max(0, self._overhead + len(line) + 4 - self._left)
        if self._overhead > MAX_OVERHEAD:
            raise BadHttp(400, "The chunks of the body are too small, or their extensions too long; send larger chunks")
        understood.append(b"%x\r\n" % self._left)
        self._state = self._chunk if self._left else self._trailer
        return rest

    def _chunk(self, data: bytes, understood: list[bytes]) -> bytes:
        understood.append(data[: self._left])
        rest = data[self._left :]
        self._left -= len(understood[-1])
        if not self._left:
            self._state = self._chunk_end
        return rest

    def _chunk_end(self, data: bytes, understood: list[bytes]) -> bytes:
        if not b"\r\n".startswith(data[:2]):
            raise _bad_chunk()
        if len(data) < 2:
            self._held = data
            return b""
        understood.append(b"\r\n")
        self._state = self._size
        return data[2:]

    def _trailer(self, data: bytes, understood: list[bytes]) -> bytes:
        """Fields after the body are read and dropped: nobody may take them for the head's (RFC 9110 §6.5.1)."""
        end = 2 if data.startswith(b"\r\n") else data.find(b"\r\n\r\n") + 4
        if max(end, len(data) if end == 3 else 0) > MAX_TRAILER:
            raise BadHttp(400, "The fields after the body are too long")
        if end == 3:  # it has not come yet
            if _ODD.search(data):
                raise _bad_chunk()
            self._held = data
            return b""
        if not _FIELDS.fullmatch(data[:end]) or _NO_TRAILER.search(data[:end]):
            raise BadHttp(400, "A field after the body has no business there")
        understood.append(b"\r\n")
        self._state = self._head
        return data[end:]


def _nothing(data: bytes, understood: list[bytes]) -> bytes:
    return b""


def _bad_chunk() -> BadHttp:
    return BadHttp(400, "The chunks of the body are malformed")


def _malformed() -> BadHttp:
    return BadHttp(400, "This is no HTTP request: its first line or a header field is malformed")


def _to_origin_form(head: bytes, method: bytes, target: bytes) -> bytes:
    """The head with the path alone, where it names the whole URL; the host in it must be the one in Host.

    Raises: BadHttp.
    """
    found = _ABSOLUTE.fullmatch(target)
    if target == b"*" and method == b"OPTIONS":
        return head
    if found is None or b"#" in target:
        raise BadHttp(400, "The request's target must be a path")
    host = _HOST.search(head)
    if host is None or host[1].lower() != found[1].lower():
        raise BadHttp(400, "The request's target and its Host name two servers")
    path = found[2] if found[2].startswith(b"/") else b"/" + found[2]
    return head.replace(target, path, 1)

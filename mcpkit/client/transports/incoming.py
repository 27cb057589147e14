"""From the bytes of one message, or one batch, to messages; what is none is reported, not raised.

A server's broken message must not end the connection, and must not leave its caller waiting: its id is looked for in
what can still be read, and where there is none, it is told whether this was meant as an answer at all. What must never
stand here: I/O, what a message is for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from mcpkit.client.background import log
from mcpkit.client.errors import ProtocolViolation
from mcpkit.framing.ndjson import Overlong
from mcpkit.jsonrpc.codec import BadAnswer, BadCall, BadParams, Limits, decode
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Id, Message, Request, Response

_ENVELOPE: Final = frozenset({"jsonrpc", "id", "result", "error"})
_LOOKED_AT: Final = 64 * 1024
"""Bytes at the start of a line that can't be read in which its id is looked for."""
_TAIL: Final = 512
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_WHOLE_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
_ID_LAST: Final = re.compile(rb'"id"\s*:\s*(-?[0-9]{1,18}|"[^"\\]*")\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\Z')


class Broken(ProtocolViolation):
    """An answer that is none; ``id`` is the request it was meant for, where that could be read."""

    def __init__(self, message: str, id: Id | None, *, answer: bool = True, readable: bool = False) -> None:
        super().__init__(message)
        self.id = id
        self.answer = answer
        """It was meant as the answer to a request; False for what a server says unasked, and for noise."""
        self.readable = readable
        """It is JSON, and its id is none that a request can have."""


@dataclass(slots=True)
class BadRequest(Request):
    """A request that is none, and whose id can be read: ``error`` is to answer it."""

    error: RpcError


Incoming: TypeAlias = Message | Broken


def read_messages(data: bytes, limits: Limits) -> list[Incoming]:
    """The messages in ``data``; a fault stands as :class:`Broken` among them."""
    try:
        decoded = decode(data, limits)
    except RpcError as error:
        return [_broken(error, data)]
    if not isinstance(decoded, Batch):
        return [decoded]
    return [_broken(entry, b"") if isinstance(entry, RpcError) else entry for entry in decoded.messages]


def too_long(line: Overlong) -> Broken:
    """What stands for a line that was thrown away for its length."""
    log.warning("the server sent a line longer than %d bytes", line.limit)
    id, answer = _outline(line.start)
    return Broken(f"the server's answer is a line longer than the {line.limit} bytes allowed", id, answer=answer)


def answers(message: Incoming, id: Id | None) -> bool:
    """The message is the answer to request ``id``, and to no other: 1 is not "1", nor true (RPC-06)."""
    if id is None or not isinstance(message, Response | ErrorResponse | Broken):
        return False
    return type(message.id) is type(id) and message.id == id


def _broken(error: RpcError, data: bytes) -> Broken | BadRequest:
    log.warning("the server sent something that is no message: %s", error.message)
    if isinstance(error, BadCall | BadParams) and error.id is not None:
        return BadRequest(error.id, "", {}, error)
    text = f"the server's answer is no JSON-RPC message: {error.message}"
    if isinstance(error, BadAnswer):
        return Broken(text, error.answers, readable=True)
    id, answer = _outline(data)
    return Broken(text, id, answer=answer)


def _outline(data: bytes) -> tuple[Id | None, bool]:
    """The id in what can't be read as JSON, and whether it was to be an answer: so is an object without a method."""
    start = data[:_LOOKED_AT].replace(b"\0", b"")  # UTF-16 reads as ASCII then
    begins = start.find(b"{")
    if begins < 0 or start[:begins].strip(b" \t\r\n[\xef\xbb\xbf\xfe\xff"):
        # A line of a message that was printed over several, or no message of any kind: an empty array may be an answer.
        return None, start.strip() == b"[]" or start.lstrip().startswith(b'"jsonrpc"')
    names, id = _members(start[begins:])
    if "method" in names or not names <= _ENVELOPE:
        return None, False
    if id is None and (last := _ID_LAST.search(data[-_TAIL:].replace(b"\0", b""))) is not None:
        id = _id(last[1])
    return id, start[begins + 1 :].lstrip().startswith(b'"')


def _members(data: bytes) -> tuple[set[str], Id | None]:
    """The names at the first level of an object that may be cut off or garbled, and the id among them."""
    names: set[str] = set()
    id: Id | None = None
    depth, name, last = 0, "", b""
    for found in _TOKEN.finditer(data):
        token = found[0]
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if not depth:
                break
        elif depth == 1:
            if token == b":" and last.startswith(b'"'):
                name = last[1:-1].decode("ascii", "replace")
                names.add(name)
            elif name == "id" and last == b":":
                id = _id(token)
        last = token
    return names, id


def _id(token: bytes) -> Id | None:
    if token.startswith(b'"') and token.endswith(b'"') and len(token) > 1:
        return token[1:-1].decode("utf-8", "replace")
    return int(token) if _WHOLE_NUMBER.fullmatch(token) else None

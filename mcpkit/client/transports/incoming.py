"""From the bytes of one message, or one batch, to messages; what is none is reported, not raised.

A server's broken message must not end the connection, and must not leave its caller waiting where the id can still be
read. What must never stand here: I/O, what a message is for.
"""

from __future__ import annotations

from typing import TypeAlias

from mcpkit.client.background import log
from mcpkit.client.errors import ProtocolViolation
from mcpkit.jsonrpc.codec import BadAnswer, Limits, decode
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Id, Message, Response


class Broken(ProtocolViolation):
    """An answer that is none; ``id`` is the request it was meant for, where that could be read."""

    def __init__(self, message: str, id: Id | None) -> None:
        super().__init__(message)
        self.id = id


Incoming: TypeAlias = Message | Broken


def read_messages(data: bytes, limits: Limits) -> list[Incoming]:
    """The messages in ``data``; a fault stands as :class:`Broken` among them."""
    try:
        decoded = decode(data, limits)
    except RpcError as error:
        return [_broken(error)]
    if not isinstance(decoded, Batch):
        return [decoded]
    return [_broken(entry) if isinstance(entry, RpcError) else entry for entry in decoded.messages]


def answers(message: Incoming, id: Id | None) -> bool:
    """The message is the answer to request ``id``, and to no other: 1 is not "1", nor true (RPC-06)."""
    if not isinstance(message, Response | ErrorResponse | Broken):
        return False
    return type(message.id) is type(id) and message.id == id


def _broken(error: RpcError) -> Broken:
    log.warning("the server sent something that is no message: %s", error.message)
    id = error.answers if isinstance(error, BadAnswer) else None
    return Broken(f"the server's answer is no JSON-RPC message: {error.message}", id)

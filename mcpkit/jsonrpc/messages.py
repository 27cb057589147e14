"""The messages of JSON-RPC 2.0 as values: a closed set, slotted, cheap to make.

What must never stand here: parsing (codec.py), matching answers to questions (peer.py), a method name of MCP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from mcpkit.jsonrpc.errors import InvalidRequest, RpcError

Id: TypeAlias = str | int
JsonObject: TypeAlias = dict[str, Any]


class Encoded(bytes):
    """A result that is JSON already: cached list pages travel as this and are never encoded twice."""

    __slots__ = ()


Result: TypeAlias = JsonObject | Encoded


@dataclass(slots=True)
class Request:
    """A call that wants an answer. ``params`` is ``{}`` when the message had none."""

    id: Id
    method: str
    params: JsonObject


@dataclass(slots=True)
class Notification:
    """A call that must not be answered."""

    method: str
    params: JsonObject


@dataclass(slots=True)
class Response:
    """The successful answer to one of our own requests."""

    id: Id
    result: JsonObject


@dataclass(slots=True)
class ErrorResponse:
    """The failed answer to one of our own requests; ``id`` is None when the peer could not read ours."""

    id: Id | None
    error: RpcError


Message: TypeAlias = Request | Notification | Response | ErrorResponse


@dataclass(slots=True)
class Batch:
    """An array of messages; an entry that was no message stands as the error that answers it."""

    messages: list[Message | InvalidRequest]

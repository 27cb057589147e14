"""What a transport is to the client: it carries calls to their answers and lets the server speak.

Any object of this shape can be a client's target, an application's own transport too (TR-05). What must never stand
here: an implementation, JSON-RPC ids as anything but opaque values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from mcpkit.client.errors import ClientError
from mcpkit.jsonrpc.messages import ErrorResponse, Id, JsonObject, Notification, Request, Response
from mcpkit.protocol.revisions.revision import Revision

Receive: TypeAlias = Callable[[Request | Notification], None]
"""Takes what the server says of itself; must return at once."""

Lost: TypeAlias = Callable[[ClientError], None]
"""Hears, once, that the connection ended by itself; calls underway fail on their own."""


@dataclass(slots=True)
class Call:
    """One request to be sent; the transport gives it its id."""

    method: str
    params: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    """Mirrored arguments (``Mcp-Param-…``), for transports that have headers."""
    cancellable: bool = True
    """The server is told when the caller stops waiting; never so for ``initialize`` (INIT-12)."""
    id: Id | None = None
    """Of the newest attempt to send it."""


@runtime_checkable
class Transport(Protocol):
    """One connection to one server. After ``close``, or when it is lost, it is not used again."""

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Make ready to carry calls.

        Raises: ClientError.
        """

    async def call(self, call: Call) -> JsonObject:
        """Send the request and return its result. Cancelling the wait cancels the request, as the transport does.

        Raises: ServerRefused, or another ClientError when no answer came.
        """

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        """Send what wants no answer.

        Raises: ClientError.
        """

    def speak(self, revision: Revision | None) -> None:
        """From now on everything is sent by the rules of this revision; None before one is agreed."""

    async def listen(self) -> None:
        """Let the server speak unasked, where the revision provides for it; returns when it can, or never could."""

    async def close(self) -> None:
        """End the connection in order, within a bounded time; may be called twice."""

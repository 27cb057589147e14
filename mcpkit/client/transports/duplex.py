"""Calls and answers over one pipe for both directions: the common half of stdio, HTTP+SSE and the in-memory pair.

A transport of that kind gives it a way to write and feeds it what it reads. What must never stand here: how bytes
travel, what a message is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from mcpkit.client.background import Background, log
from mcpkit.client.errors import ClientError, ConnectionLost, ServerRefused
from mcpkit.client.transports.incoming import Broken, Incoming, read_messages
from mcpkit.client.transports.transport import Call, Receive
from mcpkit.jsonrpc.codec import Limits, encode_error, encode_notification, encode_request, encode_result
from mcpkit.jsonrpc.errors import McpKitError, RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, JsonObject, Notification, Request, Response
from mcpkit.jsonrpc.peer import Peer

Write: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends one message; returns when it is on its way.

Raises: ClientError.
"""


class _Answer:
    """A caller's future, as the peer wants it."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()

    def resolve(self, result: JsonObject) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def reject(self, error: McpKitError) -> None:
        if not self.future.done():
            self.future.set_exception(ServerRefused(error) if isinstance(error, RpcError) else error)
            self.future.exception()  # whoever could not even send its call does not wait for this


class Duplex:
    """Matches answers to calls, hands the server's own messages on, and fails every call when the pipe breaks."""

    def __init__(self, write: Write, receive: Receive, limits: Limits) -> None:
        self._write = write
        self._receive = receive
        self._limits = limits
        self._peer = Peer()
        self._background = Background()
        self._end: ClientError | None = None

    async def call(self, call: Call) -> JsonObject:
        """Send the request and wait for its answer."""
        if self._end is not None:
            raise ConnectionLost(str(self._end), sent=False)
        answer = _Answer()
        call.id = self._peer.ask(call.method, call.params, answer).id
        try:
            await self._write(encode_request(call.id, call.method, call.params))
            return await answer.future
        except asyncio.CancelledError:
            if call.cancellable and self._end is None:
                self._background.start(self._cancel(call), "cancel")
            raise
        finally:
            self._peer.forget(call.id)

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        """Send what wants no answer."""
        await self._write(encode_message(message))

    def received(self, data: bytes) -> None:
        """Take one message, or batch, off the wire."""
        for message in read_messages(data, self._limits):
            self.deliver(message)

    def deliver(self, message: Incoming) -> None:
        """Take one message that is decoded already."""
        if isinstance(message, Request | Notification):
            self._receive(message)
        elif isinstance(message, Broken):
            self._peer.fail(message.id, message)
        elif not self._peer.answered(message):
            log.debug("the server answered something nobody asked, or asked no longer: %r", message.id)

    def fail(self, error: ClientError) -> None:
        """The pipe is broken: nothing will be answered any more."""
        if self._end is None:
            self._end = error
            self._peer.close(error)

    async def close(self, seconds: float) -> None:
        """Let cancellations underway be written, then end."""
        await self._background.finish(seconds)
        self.fail(ConnectionLost("the connection was closed"))

    async def _cancel(self, call: Call) -> None:
        try:
            await self._write(encode_notification("notifications/cancelled", {"requestId": call.id}))
        except ClientError as error:
            log.debug("the cancellation could not be sent: %s", error)


def encode_message(message: Notification | Response | ErrorResponse) -> bytes:
    """The bytes of what wants no answer."""
    if isinstance(message, Notification):
        return encode_notification(message.method, message.params)
    if isinstance(message, Response):
        return encode_result(message.id, message.result)
    return encode_error(message.id, message.error)

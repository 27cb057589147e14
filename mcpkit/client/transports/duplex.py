"""Calls and answers over one pipe for both directions: the common half of stdio, HTTP+SSE and the in-memory pair.

A transport of that kind gives it a way to write and feeds it what it reads. An answer that can't be read, or names no
request, fails the call that it can only be meant for, so that nobody waits for what has come already. What must never
stand here: how bytes travel, what a message is about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from mcpkit.client.background import Background, log
from mcpkit.client.display import clean
from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, ServerRefused
from mcpkit.client.transports.incoming import Broken, Incoming, read_messages, too_long
from mcpkit.client.transports.transport import Call, Receive
from mcpkit.framing.ndjson import Overlong
from mcpkit.jsonrpc.codec import Limits, encode_error, encode_notification, encode_request, encode_result
from mcpkit.jsonrpc.errors import PARSE_ERROR, McpKitError, RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Id, JsonObject, Notification, Request, Response
from mcpkit.jsonrpc.peer import Peer

Write: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends one message; returns when it is on its way.

Raises: ClientError.
"""

_FOLLOWS_SECONDS: Final = 1.0
"""An answer that names no request of ours may be a stray one: the right answer has this long to follow it."""
_FIRST_SECONDS: Final = 5.0
"""The same where the server may mean a notification, which simple servers answer too."""
_MOST_UNMATCHED: Final = 32


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


@dataclass(slots=True, eq=False)
class _Unmatched:
    """An answer of which it is not known whose it is; ``candidates`` are the calls that waited when it came."""

    candidates: set[Id]
    error: McpKitError
    seconds: float
    """How long the right answer may still follow."""


class Duplex:
    """Matches answers to calls, hands the server's own messages on, and fails every call when the pipe breaks."""

    def __init__(self, write: Write, receive: Receive, limits: Limits) -> None:
        self._write = write
        self._receive = receive
        self._limits = limits
        self._peer = Peer()
        self._background = Background()
        self._end: ClientError | None = None
        self._waiting: set[Id] = set()
        self._unmatched: list[_Unmatched] = []
        self._said = False
        """Something was sent that wants no answer, and no call was answered since."""

    async def call(self, call: Call) -> JsonObject:
        """Send the request and wait for its answer."""
        if self._end is not None:
            raise ConnectionLost(str(self._end), sent=False)
        answer = _Answer()
        call.id = self._peer.ask(call.method, call.params, answer).id
        self._waiting.add(call.id)
        try:
            await self._write(encode_request(call.id, call.method, call.params))
            return await answer.future
        except asyncio.CancelledError:
            if call.cancellable and self._end is None:
                self._background.start(self._cancel(call), "cancel")
            raise
        finally:
            self._peer.forget(call.id)
            self._waiting.discard(call.id)
            if self._unmatched:
                self._match()

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        """Send what wants no answer."""
        self._said = True
        await self._write(encode_message(message))

    def received(self, data: bytes | Overlong) -> None:
        """Take one message, or batch, off the wire."""
        if isinstance(data, Overlong):
            self.deliver(too_long(data))
            return
        for message in read_messages(data, self._limits):
            self.deliver(message)

    def deliver(self, message: Incoming) -> None:
        """Take one message that is decoded already."""
        if isinstance(message, Request | Notification):
            self._receive(message)
        elif isinstance(message, Broken):
            if not self._peer.fail(message.id, message) and message.answer and not self._late(message.id):
                self._astray(message, _FOLLOWS_SECONDS if message.readable else 0.0)
        elif self._peer.answered(message):
            self._said = False
        elif self._late(message.id):
            log.debug("the server answered something nobody asked any longer: %r", message.id)
        else:
            self._astray(*self._misaddressed(message))

    def fail(self, error: ClientError) -> None:
        """The pipe is broken: nothing will be answered any more."""
        if self._end is None:
            self._end = error
            self._peer.close(error)

    async def close(self, seconds: float) -> None:
        """Let cancellations underway be written, then end."""
        await self._background.finish(seconds)
        self.fail(ConnectionLost("the connection was closed"))

    # ── answers of which it is not known whose they are ─────────────────────────────────────────────────────────────

    def _late(self, id: Id | None) -> bool:
        """The id is one of ours, of a call that is over: it was answered before, or is waited for no longer."""
        return type(id) is int and 0 < id <= self._peer.asked and id not in self._waiting

    def _misaddressed(self, message: Response | ErrorResponse) -> tuple[McpKitError, float]:
        """What to tell the call that such an answer is meant for, and how long the right one may still follow."""
        if message.id is not None:
            shown = clean(repr(message.id), 60)
            return ProtocolViolation(f"the server answered with the id {shown}, which no request has"), _FOLLOWS_SECONDS
        if message.error.code == PARSE_ERROR:
            return message.error, 0.0
        return message.error, _FIRST_SECONDS if self._said else _FOLLOWS_SECONDS

    def _astray(self, error: McpKitError, seconds: float) -> None:
        log.warning("the server sent an answer of which it can't be told whose it is: %s", error)
        if self._waiting and len(self._unmatched) < _MOST_UNMATCHED:
            self._unmatched.append(_Unmatched(set(self._waiting), error, seconds))
            self._match()

    def _match(self) -> None:
        """Fail the calls that an answer can only have been meant for: as many answers as calls that may be meant."""
        for one in list(self._unmatched):
            if one not in self._unmatched:
                continue
            one.candidates &= self._waiting
            alike = [other for other in self._unmatched if other.candidates & self._waiting <= one.candidates]
            if len(one.candidates) <= len(alike):
                for other in alike:
                    self._unmatched.remove(other)
                for id in one.candidates:
                    self._fail(id, one)

    def _fail(self, id: Id, unmatched: _Unmatched) -> None:
        if unmatched.seconds:
            asyncio.get_running_loop().call_later(unmatched.seconds, self._peer.fail, id, unmatched.error)
        else:
            self._peer.fail(id, unmatched.error)

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

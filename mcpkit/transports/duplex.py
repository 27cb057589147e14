"""Serving one client over a pipe for both directions: what stdio and the in-memory pair have in common.

Lines in, messages out, both eras at once (protocol-core DUAL-04). What must never stand here: how bytes travel, a
revision's date.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from mcpkit.framing.ndjson import Line, Overlong
from mcpkit.jsonrpc.codec import (
    BadAnswer,
    BadParams,
    Limits,
    decode,
    encode_error,
    encode_notification,
)
from mcpkit.jsonrpc.errors import InternalError, InvalidRequest, RpcError
from mcpkit.jsonrpc.messages import Batch, Id, JsonObject, Message, Notification, Request
from mcpkit.jsonrpc.peer import Peer
from mcpkit.kernel import Kernel
from mcpkit.limits import Bound, BoundReached, Shares
from mcpkit.protocol.classify import Handshake, Stateless, classify
from mcpkit.protocol.envelope import META_SUBSCRIPTION_ID
from mcpkit.protocol.exchange import Exchange, NoBackChannel
from mcpkit.protocol.lifecycle import Phase, admit, negotiate, read_initialize
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from mcpkit.transports.calls import CallCancelled, check_arguments, serve_call
from mcpkit.transports.in_flight import InFlight
from mcpkit.transports.load import weight_of
from mcpkit.transports.pipe_call import CANCELLED, LISTEN, BatchReply, Call, Outlet, PipeSession, Reply
from mcpkit.transports.pipe_notices import PipeNotices

log: Final = logging.getLogger("mcpkit.transports")

INITIALIZE: Final = "initialize"
INITIALIZED: Final = "notifications/initialized"
CALL_BYTES: Final = 1024
"""What a request that waits takes besides its line."""


class Duplex:
    """One client's conversation, from its first line to the end. Lives in one event loop."""

    def __init__(self, kernel: Kernel, outlet: Outlet, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self._loop.create_future()
        """Done when the last message has been written to the outlet. Shield it when you wait for it."""
        self._kernel = kernel
        self._outlet = outlet
        self._limits = Limits(settings.max_json_depth, settings.max_batch, settings.max_json_values)
        self._most_arguments = settings.max_argument_bytes
        self._peer = Peer()
        self._session: PipeSession | None = None
        self._opening = False  # initialize is being served; lines wait for what it agrees on (INIT-14)
        self._held: list[Line] = []
        self._ending = False
        self._leaving = False  # what is read now is answered, and not served
        bound = Bound("bytes of requests that wait on this pipe", "MCP_MAX_PENDING_BYTES", settings.max_pending_bytes)
        self._waiting_bytes = Shares(bound)
        self._read = b""
        """The line that is being looked at; empty once it is counted."""
        self._calls = InFlight(self._serve, settings.max_session_calls, self._settle, self._waiting_bytes)
        self._notices = PipeNotices(kernel.changes, lambda: self._session, outlet)

    # ── the transport's side ─────────────────────────────────────────────────────────────────────────────────────

    def receive(self, lines: Iterable[Line]) -> None:
        """Take lines off the wire. To be called by the event loop, not from inside a task."""
        for line in lines:
            if self._opening or self._held:
                self._hold(line)
            elif not self.over.done():
                self._line(line)

    def end(self, grace: float) -> None:
        """The client will send no more: answer what can be answered in ``grace`` seconds, then be over (STDIO-41)."""
        self._ending = True
        self._peer.fail_all(NoBackChannel("the client has closed its end of the pipe"))
        self._calls.cancel(LISTEN)
        self._loop.call_later(grace, self.give_up)
        self._settle()

    def give_up(self) -> None:
        """Be over now, while the client can still read: what runs or waits is answered with an error."""
        if self.over.done():
            return
        self._calls.give_up()
        held, self._opening, self._leaving = self._unhold(), False, True
        self.receive(held)
        self.close()

    def close(self) -> None:
        """Be over now: nothing more is answered, whatever runs is cancelled. May be called twice."""
        if self.over.done():
            return
        self.over.set_result(None)
        self._unhold()
        self._notices.close()
        self._calls.close()
        self._peer.close(NoBackChannel("the conversation is over"))

    async def gone(self, seconds: float) -> None:
        """Wait, at most that long, for cancelled work to clean up."""
        await self._calls.gone(seconds)

    def _hold(self, line: Line) -> None:
        """Keep a line until initialize has been answered."""
        try:
            self._waiting_bytes.take("", _held_bytes(line))
        except BoundReached as reached:
            self._turn_away(line, str(reached))
        else:
            self._held.append(line)

    def _unhold(self) -> list[Line]:
        held, self._held = self._held, []
        self._waiting_bytes.give("", sum(map(_held_bytes, held)))
        return held

    def _turn_away(self, line: Line, message: str) -> None:
        """Answer the requests of a line with an error, and serve nothing of it."""
        if isinstance(line, Overlong):
            self._line(line)
            return
        try:
            read = decode(line, self._limits)
        except RpcError as error:
            self._refuse(error)
            return
        for entry in read.messages if isinstance(read, Batch) else [read]:
            if isinstance(entry, Request):
                self._send(encode_error(entry.id, InternalError(message)))

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _line(self, line: Line) -> None:
        if isinstance(line, Overlong):
            self._refuse(InvalidRequest(f"Invalid request: a line may hold {line.limit} bytes; send less at a time"))
            return
        try:
            message = decode(line, self._limits)
            if len(line) > self._most_arguments:
                check_arguments(message, self._most_arguments)
        except RpcError as error:
            self._refuse(error)
            return
        self._read = line
        if isinstance(message, Batch):
            self._batch(message)
        else:
            self._message(message, self._send)
        self._read = b""

    def _take(self) -> int:
        """Count what a message takes while it waits: the whole line, if none waits that came with it.

        A line that is too heavy by itself waits where nothing else does. Raises: BoundReached.
        """
        weight, held = weight_of(self._read) + CALL_BYTES, self._waiting_bytes
        if held.taken:
            held.take("", weight)
        else:
            held.force("", weight)
        self._read = b""
        return weight

    def _message(self, message: Message, reply: Reply) -> None:
        if isinstance(message, Request):
            self._request(message, reply)
        elif isinstance(message, Notification):
            self._notification(message)
        elif not self._peer.answered(message):
            log.debug("a response that answers no open question was dropped (id %r)", message.id)

    def _batch(self, batch: Batch) -> None:
        """An array: only where the session's revision has them (BAT-02, BAT-06)."""
        try:
            classify(None, None, batch)
            if self._session is None or not self._session.revision.batch:
                raise InvalidRequest("Invalid request: no batches here; send one message a line")
        except RpcError as error:
            self._refuse(error)
            return
        gathered = BatchReply(self._send)
        for entry in batch.messages:
            reply = gathered.expect()
            if isinstance(entry, InvalidRequest):
                self._refuse(entry, reply)
            else:
                self._message(entry, reply)
                if not isinstance(entry, Request):
                    reply(None)
        gathered(None)

    def _refuse(self, error: RpcError, reply: Reply | None = None) -> None:
        """Answer what is no message; a faulty response or notification is not answered (RPC-12)."""
        if isinstance(error, BadAnswer):
            self._peer.fail(error.answers, error)
        id = error.id if isinstance(error, InvalidRequest) else None
        unanswerable = isinstance(error, BadAnswer) or (isinstance(error, BadParams) and id is None)
        null_id = self._session is not None and self._session.revision.null_ids
        (reply or self._send)(None if unanswerable else encode_error(id, error, null_id=null_id))

    def _send(self, data: bytes | None) -> None:
        if data is not None and not self.over.done():
            self._outlet.write(data)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _request(self, request: Request, reply: Reply) -> None:
        try:
            call = Call(self._exchange(request), self._peer, self._outlet, reply)
            self._peer.begin(request.id, call)
        except RpcError as error:
            reply(encode_error(request.id, error))
            return
        if self._leaving:
            call.give_up()
        elif request.method == INITIALIZE and call.exchange.session is not None:
            self._calls.start(call, self._open(call))
        else:
            self._calls.launch(call, self._take)

    def _exchange(self, request: Request) -> Exchange:
        """The request under the revision that governs it.

        Raises: RpcError.
        """
        route = classify(None, None, request)
        if isinstance(route, Stateless):
            envelope = route.envelope
            assert envelope is not None  # every request has one
            exchange = Exchange(request.id, request.method, request.params, route.revision, client=envelope.client)
            exchange.log_level = envelope.log_level
            return exchange
        admit(self._session.phase if self._session else Phase.NEW, request.method)
        if isinstance(route, Handshake):
            offered, client = read_initialize(request.params)
            self._session = PipeSession(negotiate(offered), client)
        return self._legacy(request.id, request.method, request.params)

    def _legacy(self, id: Id | None, method: str, params: JsonObject) -> Exchange:
        session = self._session
        if session is None:  # a ping before the handshake
            return Exchange(id, method, params, NEWEST_HANDSHAKE)
        return Exchange(id, method, params, session.revision, client=session.client, session=session)

    async def _serve(self, call: Call) -> None:
        exchange = call.exchange
        if exchange.id is None:
            await self._kernel.notified(exchange)
            return
        try:
            data, error = await serve_call(self._kernel, exchange, call)
        except CallCancelled:
            return
        if error is None:
            self._succeeded(call)
        call.answer(data)
        if call.hung_up:
            self._loop.call_soon(self.give_up)

    def _succeeded(self, call: Call) -> None:
        exchange = call.exchange
        if exchange.method == INITIALIZE and self._session is not None:
            self._session.phase = Phase.INITIALIZING
        elif exchange.method == LISTEN and not call.cancelled:  # a stream that we end says so first (CANC-07, AMB-01)
            meta = {META_SUBSCRIPTION_ID: exchange.id}
            self._send(encode_notification(CANCELLED, {"requestId": exchange.id, "_meta": meta}))

    async def _open(self, call: Call) -> None:
        """``initialize``, before any later line (INIT-14)."""
        self._opening = True
        await self._serve(call)
        self._opening = False
        if self._held:
            self._loop.call_soon(self._release)

    def _release(self) -> None:
        self.receive(self._unhold())
        self._settle()

    def _settle(self) -> None:
        """Where no more input comes, the last answer is the end."""
        if self._ending and self._calls.empty:  # held lines wait for a call that is in flight
            self.close()

    # ── notifications, both ways ─────────────────────────────────────────────────────────────────────────────────

    def _notification(self, message: Notification) -> None:
        if message.method == CANCELLED:
            reason = message.params.get("reason")
            if self._peer.cancel(message.params.get("requestId"), reason if isinstance(reason, str) else None):
                log.debug("a request was cancelled by its caller: %r", reason)
            return
        if self._leaving:
            return
        try:
            route = classify(None, None, message)
        except RpcError:
            return  # whatever is wrong with a notification, it is not answered (RPC-12)
        if isinstance(route, Stateless):
            exchange = Exchange(None, message.method, message.params, route.revision)
        elif self._session is None:
            return
        else:
            if message.method == INITIALIZED and self._session.phase is Phase.INITIALIZING:
                self._session.phase = Phase.READY
            exchange = self._legacy(None, message.method, message.params)
        self._calls.launch(Call(exchange, self._peer, self._outlet, _unanswered), self._take)


def _held_bytes(line: Line) -> int:
    return CALL_BYTES + (0 if isinstance(line, Overlong) else len(line))


def _unanswered(data: bytes | None) -> None:
    """The reply of a notification."""

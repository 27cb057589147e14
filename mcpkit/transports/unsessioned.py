"""Messages that belong to no session: each says everything about itself, or is served without being remembered.

What must never stand here: reading bodies, which revision governs (both are done), a session's affairs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from mcpkit.jsonrpc.codec import encode_error
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import Batch, JsonObject, Message, Notification, Request
from mcpkit.kernel import Kernel
from mcpkit.protocol.classify import Stateless
from mcpkit.protocol.exchange import SILENT, Channel, Exchange
from mcpkit.protocol.headers import ParamHeader, check_params
from mcpkit.protocol.revisions.registry import PLAIN
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.transports.asgi import CLOSE, DONE, Refused, Visit
from mcpkit.transports.calls import CALL, LISTEN, CallCancelled, not_acceptable, serve_batch, serve_call
from mcpkit.transports.gate import EVENTS, Gate
from mcpkit.transports.reception import Reception
from mcpkit.transports.reply import ReplyChannel
from mcpkit.transports.streams import Patience

Mirrored: TypeAlias = Callable[[str], tuple[ParamHeader, ...]]
"""A tool's name → the arguments that callers repeat in headers."""


class Unsessioned:
    """Serves what belongs to no session."""

    __slots__ = ("_gate", "_kernel", "_patience", "_reception")

    def __init__(self, kernel: Kernel, reception: Reception, patience: Patience, gate: Gate) -> None:
        self._gate = gate
        self._kernel = kernel
        self._reception = reception
        self._patience = patience

    def stateless(self, visit: Visit, route: Stateless, message: Message | Batch) -> Awaitable[None]:
        """A request of the envelope era, which says everything about itself.

        Raises: Refused.
        """
        envelope, revision = route.envelope, route.revision
        if type(message) is not Request or envelope is None:
            return self._told(visit, message, revision)
        if not visit.accept:
            raise not_acceptable(message.id)
        method, params = message.method, message.params
        mirrored = self._kernel.param_headers if method == CALL else None
        if mirrored is not None:
            try:
                _check_param_headers(mirrored, visit, params)
            except RpcError as error:
                return visit.answer(400, encode_error(message.id, error))
        channel = ReplyChannel(visit, revision.http, None, self._patience, self._reception.is_draining)
        client, level, caller, headers = envelope.client, envelope.log_level, visit.principal, visit.headers
        exchange = Exchange(message.id, method, params, revision, channel, client, caller, level, None, headers)
        exchange.caller = visit.caller
        if method in LISTEN:
            if not visit.accept & EVENTS:
                raise Refused(406, f"{method} is answered as text/event-stream; accept it", id=message.id)
            return self._stream(visit, message, exchange, channel)
        return self._respond(visit, message, exchange, channel)

    async def _stream(self, visit: Visit, request: Request, exchange: Exchange, channel: ReplyChannel) -> None:
        """A call that is answered by a long stream."""
        self._reception.begin_stream(visit, request.id)
        try:
            await self._respond(visit, request, exchange, channel)
        finally:
            self._reception.end_stream(visit)

    async def serve(self, visit: Visit, revision: Revision, message: Message | Batch) -> None:
        """A plain call, or one of the handshake era that brings no session: nothing is remembered of it."""
        if type(message) is Batch:
            await self._batch(visit, revision, message)
        elif type(message) is Request:
            channel = ReplyChannel(visit, revision.http, None, self._patience, self._reception.is_draining)
            if revision is PLAIN:
                channel.speaks = False
            elif not visit.accept:
                raise not_acceptable(message.id)
            await self._respond(visit, message, _exchange(visit, message, revision, channel), channel)
        else:
            await self._told(visit, message, revision)

    async def _respond(self, visit: Visit, request: Request, exchange: Exchange, channel: ReplyChannel) -> None:
        status = 200
        try:
            body, error = await serve_call(self._kernel, exchange, channel)
        except CallCancelled:
            await channel.abandon()
            return
        if error is not None:
            if not channel.started:
                self._gate.turn_away(error, request.id)
            status = exchange.revision.http.status.get(error.code, 200)
        if channel.hung_up:
            visit.extra += (CLOSE,)
        rest = channel.finish(status, body)
        if rest is not DONE:
            await rest

    async def _told(self, visit: Visit, message: Message | Batch, revision: Revision) -> None:
        """A notification: accepted first, then delivered, for nobody waits for it (SHC-11)."""
        await visit.answer_empty(202)
        if isinstance(message, Notification):
            await self._kernel.notified(_exchange(visit, message, revision, SILENT))

    async def _batch(self, visit: Visit, revision: Revision, batch: Batch) -> None:
        async def serve(request: Request) -> bytes:
            channel = ReplyChannel(visit, revision.http, None, self._patience, self._reception.is_draining)
            channel.speaks = False
            body, _ = await serve_call(self._kernel, _exchange(visit, request, revision, SILENT), channel)
            return body

        async def notified(notification: Notification) -> None:
            await self._kernel.notified(_exchange(visit, notification, revision, SILENT))

        body = await serve_batch(batch, serve, notified)
        if body is None:
            await visit.answer_empty(202)
        else:
            await visit.answer(200, body)


def _check_param_headers(mirrored: Mirrored, visit: Visit, params: JsonObject) -> None:
    """That ``Mcp-Param-*`` says what the arguments say, once it is known which tool is meant (XHDR-13).

    Raises: HeaderMismatch.
    """
    name = params["name"] if "name" in params else None  # noqa: SIM401 - no call
    headers = mirrored(name) if type(name) is str else ()
    if headers:
        arguments = params.get("arguments")
        check_params(headers, visit.headers, arguments if isinstance(arguments, dict) else {})


def _exchange(visit: Visit, message: Request | Notification, revision: Revision, channel: Channel) -> Exchange:
    id = message.id if type(message) is Request else None
    principal, headers, caller = visit.principal, visit.headers, visit.caller
    return Exchange(
        id, message.method, message.params, revision, channel, principal=principal, headers=headers, caller=caller
    )

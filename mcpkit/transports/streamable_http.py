"""The MCP endpoint: one ASGI application for POST, GET, DELETE and OPTIONS of every revision, and plain JSON-RPC.

It reads, classifies and hands over; what has no session is served here. What must never stand here: a session's
affairs (session_http.py, http_sse.py), a framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

from mcpkit.jsonrpc.codec import BadAnswer, BadParams, Limits, decode, encode_error
from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, MethodNotFound, ParseError, RpcError
from mcpkit.jsonrpc.messages import Batch, Message, Notification, Request
from mcpkit.kernel import Kernel
from mcpkit.protocol.classify import Handshake, InSession, Legacy, OnStream, Route, Stateless, classify
from mcpkit.protocol.exchange import SILENT, UNKNOWN_CLIENT, Channel, Client, Exchange
from mcpkit.protocol.headers import SESSION_HEADER, VERSION_HEADER, check_params
from mcpkit.protocol.revisions.registry import ENVELOPE_NAMES, PLAIN
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.sessions.store import SessionStore, StoreAway
from mcpkit.settings import Settings
from mcpkit.transports.asgi import (
    CLOSE,
    ClientGone,
    Header,
    Receive,
    Refused,
    Scope,
    Send,
    Visit,
    failed,
    read_body,
    refuse,
    unread,
    whole_body,
)
from mcpkit.transports.calls import LISTEN, check_accept, check_arguments, encoded, id_of, names_null_id, serve_batch
from mcpkit.transports.gate import EVENTS, Gate
from mcpkit.transports.http_sse import HttpSse
from mcpkit.transports.load import LIGHT_BODY, Scales
from mcpkit.transports.reception import RETRY_SOON, Reception, going_down, refusal_of
from mcpkit.transports.reply import Cancelled, ReplyChannel
from mcpkit.transports.session_http import SessionHttp
from mcpkit.transports.streams import Patience

ALLOW: Final[Header] = (b"allow", b"POST, GET, DELETE, OPTIONS")
ALLOW_POST: Final[Header] = (b"allow", b"POST, OPTIONS")


class McpEndpoint:
    """Answers every request to the MCP URL. :attr:`sse` answers GET on the HTTP+SSE URL."""

    __slots__ = (
        *("_gate", "_kernel", "_limits", "_patience", "_reception", "_scales", "_sessions", "_settings"),
        *("path", "retiring", "sse"),
    )

    def __init__(
        self, kernel: Kernel, sessions: SessionStore, gate: Gate, settings: Settings, path: str = "/api"
    ) -> None:
        self.path = path
        """Where this endpoint hangs, below the application's root; HTTP+SSE clients are told to post there."""
        self.retiring = False
        """Whether the server will end soon: requests should go elsewhere, and are served until it does."""
        self._kernel = kernel
        self._gate = gate
        self._settings = settings
        self._limits = Limits(depth=settings.max_json_depth, batch=settings.max_batch)
        self._patience = Patience.of(settings)
        self._reception = Reception(kernel, sessions, settings)
        self._scales = Scales(settings.max_pending_bytes)
        self._sessions = SessionHttp(kernel, self._reception, self._patience, gate)
        self.sse = HttpSse(kernel, self._reception, gate, settings, path, self._scales)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        try:
            visit = self._gate.judge(scope, receive, send)
            if self._gate.asks:
                await self._gate.identify(visit)
        except (Refused, StoreAway) as error:
            refusal = refusal_of(error)
            await refuse(send, refusal, unread(refusal, scope, receive))
            return
        try:
            await (self._post(visit) if scope["method"] == "POST" else self._other(visit))
        except (Refused, StoreAway) as error:
            await refuse(send, refusal_of(error), visit.extra)
        except ClientGone:
            return
        except Exception:
            await failed(send, visit.extra)
        except asyncio.CancelledError:
            await _cut_short(visit, draining=self.draining)
            raise
        finally:
            if visit.weight:
                self._scales.give(visit.weight)

    @property
    def away(self) -> bool:
        """Whether the store of sessions is out of reach."""
        return self._reception.store.away

    @property
    def draining(self) -> bool:
        """Whether the server is going down, and opens nothing any more."""
        return self._reception.draining

    @property
    def store(self) -> SessionStore:
        """What keeps the sessions."""
        return self._reception.store

    @property
    def streams(self) -> int:
        """How many event streams are open here."""
        return self._reception.streams

    def drain(self) -> None:
        """Let open streams end and open no new ones; calls in flight go on."""
        self._reception.draining = True
        self._sessions.drain()
        self.sse.drain()

    # ── one POST ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _post(self, visit: Visit) -> None:
        settings = self._settings
        try:
            self._gate.check_body(visit)
        except Refused as refusal:
            visit.extra += unread(refusal, visit.scope, visit.receive)
            raise
        body = whole_body(visit.receive, settings.max_body_bytes)
        if body is None:
            body = await read_body(
                visit.receive, settings.max_body_bytes, settings.body_silence_seconds, settings.request_seconds
            )
        size = len(body)
        if size > LIGHT_BODY:
            visit.weight = _weigh(self._scales, body)
        query = visit.scope["query_string"]
        stream = _stream_named_in(query) if query else None
        if stream is not None:
            visit.body = body
        try:
            message = decode(body, self._limits)
            if size > settings.max_argument_bytes:
                check_arguments(message, settings.max_argument_bytes)
        except (ParseError, InvalidRequest) as error:
            await self._unreadable(visit, stream, error)
            return
        try:
            route = classify(visit.headers, stream, message)
        except RpcError as error:
            await self._misdirected(visit, stream, message, error)
            return
        del body  # what it says is in the message, for as long as that is served
        await self._dispatch(visit, route, message)

    def _dispatch(self, visit: Visit, route: Route, message: Message | Batch) -> Awaitable[None]:
        if type(route) is Stateless:
            return self._stateless(visit, route, message)
        if type(route) is InSession:
            return self._sessions.post(visit, route.id, message)
        if type(route) is OnStream:
            return self.sse.post(visit, route.id, message)
        if type(route) is Handshake:
            assert isinstance(message, Request)
            return self._sessions.open(visit, message)
        return self._unsessioned(visit, route.revision if type(route) is Legacy else PLAIN, message)

    def _stateless(self, visit: Visit, route: Stateless, message: Message | Batch) -> Awaitable[None]:
        """A request of the envelope era, which says everything about itself.

        Raises: Refused.
        """
        envelope = route.envelope
        if type(message) is not Request or envelope is None:
            return self._told(visit, message, route.revision)
        check_accept(visit, message)
        listens = message.method in LISTEN
        if listens and not visit.accept & EVENTS:
            raise Refused(406, f"{message.method} is answered as text/event-stream; accept it", id=message.id)
        try:
            _check_param_headers(self._kernel, visit, message)
        except RpcError as error:
            return visit.answer(400, encode_error(message.id, error))
        channel = ReplyChannel(visit, route.revision.http, None, self._patience)
        exchange = _exchange(visit, message, route.revision, channel, envelope.client)
        exchange.log_level = envelope.log_level
        if listens:
            return self._stream(visit, message, exchange, channel)
        return self._respond(visit, message, exchange, channel)

    async def _stream(self, visit: Visit, request: Request, exchange: Exchange, channel: ReplyChannel) -> None:
        """A call that is answered by a long stream."""
        self._reception.begin_stream(visit, request.id)
        try:
            await self._respond(visit, request, exchange, channel)
        finally:
            self._reception.end_stream(visit)

    async def _unsessioned(self, visit: Visit, revision: Revision, message: Message | Batch) -> None:
        """A plain call, or one of the handshake era that brings no session: nothing is remembered of it."""
        if type(message) is Batch:
            await self._batch(visit, revision, message)
        elif type(message) is Request:
            channel = ReplyChannel(visit, revision.http, None, self._patience)
            if revision is PLAIN:
                channel.speaks = False
            else:
                check_accept(visit, message)
            await self._respond(visit, message, _exchange(visit, message, revision, channel), channel)
        else:
            await self._told(visit, message, revision)

    async def _respond(self, visit: Visit, request: Request, exchange: Exchange, channel: ReplyChannel) -> None:
        status = 200
        try:
            body = encoded(self._kernel, exchange, await channel.run(self._kernel.serve(exchange)))
        except RpcError as error:
            if not channel.started:
                self._gate.turn_away(error, request.id)
            status = exchange.revision.http.status.get(error.code, 200)
            body = encode_error(request.id, error)
        except Cancelled:
            await channel.abandon()
            return
        if channel.hung_up:
            visit.extra += (CLOSE,)
        await channel.finish(status, body)

    async def _told(self, visit: Visit, message: Message | Batch, revision: Revision) -> None:
        """A notification: accepted first, then delivered, for nobody waits for it (SHC-11)."""
        await visit.answer_empty(202)
        if isinstance(message, Notification):
            await self._kernel.notified(_exchange(visit, message, revision, SILENT))

    async def _batch(self, visit: Visit, revision: Revision, batch: Batch) -> None:
        async def serve(request: Request) -> bytes:
            try:
                exchange = _exchange(visit, request, revision, SILENT)
                return encoded(self._kernel, exchange, await self._kernel.serve(exchange))
            except RpcError as error:
                return encode_error(request.id, error)

        async def notified(notification: Notification) -> None:
            await self._kernel.notified(_exchange(visit, notification, revision, SILENT))

        body = await serve_batch(batch, serve, notified)
        if body is None:
            await visit.answer_empty(202)
        else:
            await visit.answer(200, body)

    # ── what can't be served ─────────────────────────────────────────────────────────────────────────────────────

    async def _unreadable(self, visit: Visit, stream: str | None, error: ParseError | InvalidRequest) -> None:
        """No message could be read; the id is echoed where it was readable (RPC-11, SHC-15)."""
        id = error.id if isinstance(error, InvalidRequest) else None
        if isinstance(error, BadAnswer) and SESSION_HEADER in visit.headers:
            await self._sessions.bad_answer(visit, error)
        if isinstance(error, BadParams) and id is not None:
            if stream is not None:
                await self.sse.post_error(visit, stream, id, error)
                return
            status = 400 if visit.headers.get(VERSION_HEADER) in ENVELOPE_NAMES else 200
            await visit.answer(status, encode_error(id, InvalidParams(error.message)))
            return
        await visit.answer(400, encode_error(id, error, null_id=names_null_id(visit.headers)))

    async def _misdirected(self, visit: Visit, stream: str | None, message: Message | Batch, error: RpcError) -> None:
        """A message that says contradictory or impossible things about itself (SHM-11, SHM-21, SHL-53)."""
        null_id = isinstance(message, Batch) and names_null_id(visit.headers)
        status = 404 if isinstance(error, MethodNotFound) else 400
        await visit.answer(status, encode_error(id_of(message), error, null_id=null_id))

    # ── other methods ────────────────────────────────────────────────────────────────────────────────────────────

    async def _other(self, visit: Visit) -> None:
        method = visit.scope["method"]
        if method == "OPTIONS":
            visit.extra = self._gate.preflight(visit)
            await visit.answer_empty(204)
        elif method not in {"GET", "DELETE"}:
            raise Refused(405, "This endpoint takes POST, GET and DELETE", [ALLOW])
        elif visit.headers.get(VERSION_HEADER) in ENVELOPE_NAMES or _stream_named_in(visit.scope["query_string"]):
            raise Refused(405, "Here only POST is served; see the specification of this revision", [ALLOW_POST])
        elif not self._reception.store.keeps:
            raise Refused(405, "No sessions are kept here, so only POST is served", [ALLOW_POST])
        elif method == "GET":
            await self._sessions.get(visit)
        else:
            await self._sessions.delete(visit)


def _exchange(
    visit: Visit,
    message: Request | Notification,
    revision: Revision,
    channel: Channel,
    client: Client = UNKNOWN_CLIENT,
) -> Exchange:
    return Exchange(
        message.id if type(message) is Request else None,
        message.method,
        message.params,
        revision,
        channel,
        client,
        visit.principal,
        None,
        None,
        visit.headers,
    )


def _check_param_headers(kernel: Kernel, visit: Visit, message: Request) -> None:
    """That ``Mcp-Param-*`` says what the arguments say, once it is known which tool is meant (XHDR-13).

    Raises: HeaderMismatch.
    """
    if message.method == "tools/call":
        name = message.params.get("name")
        mirrored = kernel.param_headers(name) if type(name) is str else ()
        if mirrored:
            arguments = message.params.get("arguments")
            check_params(mirrored, visit.headers, arguments if isinstance(arguments, dict) else {})


async def _cut_short(visit: Visit, *, draining: bool) -> None:
    """The grace of calls in flight is over, if the server is going down."""
    if draining:
        with suppress(Exception):  # the answer may have begun
            await refuse(visit.send, going_down(), visit.extra)


def _weigh(scales: Scales, body: bytes) -> int:
    """Have all requests that are being served fit into memory together.

    Raises: Refused (503).
    """
    weight = scales.take(body)
    if not weight:
        raise Refused(503, "The server holds too many large requests already; send it again soon", [RETRY_SOON])
    return weight


def _stream_named_in(query: bytes) -> str | None:
    """The HTTP+SSE session that the URL names; the name is ours, so its spelling is exact."""
    for field in query.split(b"&"):
        if field.startswith(b"session_id="):
            return field[11:].decode("latin-1")
    return None

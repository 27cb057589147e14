"""The MCP endpoint: one ASGI application for POST, GET, DELETE and OPTIONS of every revision, and plain JSON-RPC.

It reads, classifies and hands over. What must never stand here: how a message is served (unsessioned.py,
session_http.py, http_sse.py), a framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

from mcpkit.jsonrpc.codec import BadAnswer, BadParams, Limits, decode, encode_error
from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, MethodNotFound, ParseError, RpcError
from mcpkit.jsonrpc.messages import Batch, Message, Request
from mcpkit.kernel import Kernel
from mcpkit.limits import BoundReached
from mcpkit.protocol.classify import Handshake, InSession, Legacy, OnStream, Route, Stateless, classify
from mcpkit.protocol.headers import SESSION_HEADER, VERSION_HEADER
from mcpkit.protocol.revisions.registry import ENVELOPE_NAMES, PLAIN
from mcpkit.sessions.store import SessionStore, StoreAway
from mcpkit.settings import Settings
from mcpkit.transports.asgi import (
    Asked,
    ClientGone,
    Header,
    Receive,
    Refused,
    Scope,
    Send,
    Visit,
    failed,
    gone,
    read_body,
    refuse,
    unread,
)
from mcpkit.transports.calls import check_arguments, id_of, names_null_id, takes_null_id
from mcpkit.transports.gate import Gate
from mcpkit.transports.http_sse import HttpSse
from mcpkit.transports.load import LIGHT_BODY, Scales
from mcpkit.transports.reception import RETRY_SOON, Reception, going_down, refusal_of
from mcpkit.transports.session_http import SessionHttp
from mcpkit.transports.streams import Patience
from mcpkit.transports.unsessioned import Unsessioned

Serve: TypeAlias = Callable[[Visit], Awaitable[None]]
ALLOW: Final[Header] = (b"allow", b"POST, GET, DELETE, OPTIONS")
ALLOW_POST: Final[Header] = (b"allow", b"POST, OPTIONS")


class McpEndpoint:
    """Answers every request to the MCP URL. :attr:`sse` answers GET on the HTTP+SSE URL."""

    __slots__ = (
        *("_gate", "_limits", "_reception", "_scales", "_sessions", "_settings", "_unsessioned"),
        *("path", "retiring", "sse"),
    )

    def __init__(
        self, kernel: Kernel, sessions: SessionStore, gate: Gate, settings: Settings, path: str = "/api"
    ) -> None:
        self.path = path
        """Where this endpoint hangs, below the application's root; HTTP+SSE clients are told to post there."""
        self.retiring = False
        """Whether the server will end soon: requests should go elsewhere, and are served until it does."""
        self._gate = gate
        self._settings = settings
        self._limits = Limits(settings.max_json_depth, settings.max_batch, settings.max_json_values)
        self._reception = Reception(kernel, sessions, settings)
        self._scales = Scales(settings.max_pending_bytes, settings.caller_share)
        patience = Patience.of(settings)
        self._unsessioned = Unsessioned(kernel, self._reception, patience, gate)
        self._sessions = SessionHttp(kernel, self._reception, patience, gate)
        self.sse = HttpSse(kernel, self._reception, gate, settings, path, self._scales)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        try:
            visit = self._gate.judge(scope, receive, send)
            if self._gate.asks:
                await self._gate.identify(visit)
        except (Refused, StoreAway) as error:
            refusal = refusal_of(error)
            await refuse(send, refusal, unread(refusal, scope, receive), null_id=takes_null_id(scope))
            return
        await self._serve(visit, self._post if scope["method"] == "POST" else self._other)

    def direct(self, asked: Asked) -> Awaitable[None]:
        """Serve one that came whole, without ASGI in between."""
        try:
            self._gate.recognise(asked)
        except Refused as refusal:
            return refuse(asked.send, refusal, null_id=takes_null_id(asked.scope))
        serve = self._whole if asked.scope["method"] == "POST" else self._other
        return self._identified(asked, serve) if self._gate.asks else self._serve(asked, serve)

    async def _identified(self, asked: Asked, serve: Serve) -> None:
        try:
            await self._gate.identify(asked)
        except (Refused, StoreAway) as error:
            await refuse(asked.send, refusal_of(error), null_id=takes_null_id(asked.scope))
            return
        try:
            await self._serve(asked, serve)
        finally:
            asked.receive = gone  # a limit on its time and the request would keep each other

    async def _serve(self, visit: Visit, serve: Serve) -> None:
        try:
            await serve(visit)
        except (Refused, StoreAway) as error:
            await refuse(visit.send, refusal_of(error), visit.extra, null_id=names_null_id(visit.headers))
        except ClientGone:
            return
        except Exception as error:
            if hasattr(error, "status_code"):  # by who stands before us, whose limit is reached: the answer is theirs
                raise
            await failed(visit.send, visit.extra, null_id=names_null_id(visit.headers))
        except asyncio.CancelledError:
            await _cut_short(visit, draining=self.draining)
            raise
        finally:
            if visit.weight:
                self._scales.give(visit.weight, visit.caller)

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

    def resume(self) -> None:
        """Serve as at first: an application may be started again after its end."""
        self._reception.draining = self.retiring = False

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
        visit.posted = await read_body(
            visit.receive, settings.max_body_bytes, settings.body_silence_seconds, settings.request_seconds
        )
        await self._read(visit)

    def _whole(self, visit: Visit) -> Awaitable[None]:
        self._gate.check_body(visit)
        return self._read(visit)

    def _read(self, visit: Visit) -> Awaitable[None]:
        """Find out what the body says, and who serves it."""
        body, size = visit.posted, len(visit.posted)
        if size > LIGHT_BODY:
            visit.weight = _weigh(self._scales, body, visit.caller)
        query = visit.scope["query_string"]
        stream = _stream_named_in(query) if query else None
        if stream is None:
            visit.posted = b""  # what it says is in the message, for as long as that is served
        try:
            message = decode(body, self._limits)
            if size > self._settings.max_argument_bytes:
                check_arguments(message, self._settings.max_argument_bytes)
        except (ParseError, InvalidRequest) as error:
            return self._unreadable(visit, stream, error)
        try:
            route = classify(visit.headers, stream, message)
        except RpcError as error:
            return self._misdirected(visit, stream, message, error)
        return self._dispatch(visit, route, message)

    def _dispatch(self, visit: Visit, route: Route, message: Message | Batch) -> Awaitable[None]:
        if type(route) is Stateless:
            return self._unsessioned.stateless(visit, route, message)
        if type(route) is InSession:
            return self._sessions.post(visit, route.id, message)
        if type(route) is OnStream:
            return self.sse.post(visit, route.id, message)
        if type(route) is Handshake:
            assert isinstance(message, Request)
            return self._sessions.open(visit, message)
        return self._unsessioned.serve(visit, route.revision if type(route) is Legacy else PLAIN, message)

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


async def _cut_short(visit: Visit, *, draining: bool) -> None:
    """The grace of calls in flight is over, if the server is going down."""
    if draining:
        with suppress(Exception):  # the answer may have begun
            await refuse(visit.send, going_down(), visit.extra, null_id=names_null_id(visit.headers))


def _weigh(scales: Scales, body: bytes, caller: str) -> int:
    """Have all requests that are being served fit into memory together.

    Raises: Refused (503, 429).
    """
    try:
        return scales.take(body, caller)
    except BoundReached as reached:
        raise Refused(429 if reached.of_caller else 503, str(reached), [RETRY_SOON]) from None


def _stream_named_in(query: bytes) -> str | None:
    """The HTTP+SSE session that the URL names; the name is ours, so its spelling is exact."""
    for field in query.split(b"&"):
        if field.startswith(b"session_id="):
            return field[11:].decode("latin-1")
    return None

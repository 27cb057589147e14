"""Streamable HTTP with sessions: the handshake, calls in a session, the GET stream and resumption, DELETE.

What must never stand here: reading bodies, which revision governs (both are done), HTTP+SSE.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final

from mcpkit.framing.sse import encode_event
from mcpkit.jsonrpc.codec import BadAnswer, encode_error
from mcpkit.jsonrpc.errors import InvalidRequest, RpcError
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Id, Message, Notification, Request, Response
from mcpkit.kernel import Kernel
from mcpkit.protocol.exchange import SILENT, Exchange
from mcpkit.protocol.headers import SESSION_HEADER, VERSION_HEADER
from mcpkit.protocol.lifecycle import Phase, admit, negotiate, read_initialize
from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.sessions.delivery import GENERAL, Reader, Stored, UnknownEvent
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import SessionStore, StoreAway
from mcpkit.transports.asgi import DONE, Refused, Visit
from mcpkit.transports.calls import CallCancelled, id_of, not_acceptable, serve_batch, serve_call
from mcpkit.transports.gate import EVENTS, Gate
from mcpkit.transports.reception import Reception, exchange_in, hear, unknown_session
from mcpkit.transports.reply import ReplyChannel
from mcpkit.transports.streams import KEEP_ALIVE, EventResponse, Guard, Patience

MAX_READERS: Final = 8
"""GET streams that one session may hold open."""


class SessionHttp:
    """Serves what belongs to a handshake session, or begins one."""

    __slots__ = ("_gate", "_kernel", "_patience", "_readers", "_reception", "_store")

    def __init__(self, kernel: Kernel, reception: Reception, patience: Patience, gate: Gate) -> None:
        self._gate = gate
        self._kernel = kernel
        self._reception = reception
        self._store: SessionStore = reception.store
        self._patience = patience
        self._readers: dict[Reader, Session] = {}

    # ── a session begins ─────────────────────────────────────────────────────────────────────────────────────────

    async def open(self, visit: Visit, request: Request) -> None:
        """``initialize``: negotiate, make the session, tell its id with the answer (SHL-40, SHL-47)."""
        if not visit.accept:
            raise not_acceptable(request.id)
        await self._check_unsessioned(visit, request.id)
        try:
            offered, client = read_initialize(request.params)
        except RpcError as error:
            await visit.answer(200, encode_error(request.id, error))
            return
        session = await self._reception.open(visit, request.id)
        session.revision, session.client, session.phase = negotiate(offered), client, Phase.INITIALIZING
        channel = ReplyChannel(visit, session.revision.http, session, self._patience, self._reception.is_draining)
        try:
            body, failure = await serve_call(self._kernel, exchange_in(session, visit, request, channel), channel)
            if failure is None:
                await session.keep()
        except CallCancelled:
            await self._store.end(session)
            await channel.abandon()
            return
        except BaseException:
            await self._store.end(session)
            raise
        if failure is not None:
            await self._store.end(session)
            await channel.finish(200, body)
            return
        if self._store.keeps:
            visit.extra += ((b"mcp-session-id", session.id.encode("latin-1")),)
        await channel.finish(200, body)

    async def _check_unsessioned(self, visit: Visit, id: Id) -> None:
        known = visit.headers.get(SESSION_HEADER)
        if known is not None:
            if await self._store.get(known, visit.principal) is None:
                raise unknown_session(id)
            raise Refused(400, "This session is initialized already; leave Mcp-Session-Id out to open another", id=id)

    # ── within a session ─────────────────────────────────────────────────────────────────────────────────────────

    async def post(self, visit: Visit, session_id: str, message: Message | Batch) -> None:
        """Serve one message of a session."""
        session = await self._store.get(session_id, visit.principal)
        if session is None or session.streamed:
            raise unknown_session(id_of(message))
        if type(message) is Request:
            if not visit.accept:
                raise not_acceptable(message.id)
            await self._call(visit, session, message)
        elif type(message) is Notification:
            await hear(session, message)
            await visit.answer_empty(202)
            await self._kernel.notified(exchange_in(session, visit, message, SILENT))
        elif isinstance(message, Batch):
            await self._batch(visit, session, message)
        elif isinstance(message, (Response, ErrorResponse)):
            await session.answered(message)
            await visit.answer_empty(202)

    async def bad_answer(self, visit: Visit, error: BadAnswer) -> None:
        """A response that is none came in: whoever waits for it is told so instead of waiting on."""
        session = await self._store.get(visit.headers[SESSION_HEADER], visit.principal)
        if session is not None and error.answers is not None:
            await session.unreadable(error.answers, error)

    async def _call(self, visit: Visit, session: Session, request: Request) -> None:
        self._reception.check_load(session, request.id)
        channel = ReplyChannel(visit, session.revision.http, session, self._patience, self._reception.is_draining)
        channel.call = request.id
        try:
            session.peer.begin(request.id, channel)
        except InvalidRequest as error:
            await visit.answer(400, encode_error(request.id, error))
            return
        try:
            exchange = exchange_in(session, visit, request, channel)
            body = await self._served(exchange, channel, session.phase, alone=True)
        except CallCancelled:
            await self._abandon(visit, session, channel, request.id)
            return
        finally:
            session.peer.end(request.id)
        try:
            await session.keep()
        except StoreAway:
            if not channel.started:  # else what the caller asked for is under way to it
                raise
        rest = channel.finish(200, body)
        if rest is not DONE:
            await rest
        if channel.hung_up:
            await self._hang_up(session)

    async def _hang_up(self, session: Session) -> None:
        with suppress(StoreAway):  # it has ended here; elsewhere it ends later
            await self._store.end(session)

    async def _served(self, exchange: Exchange, channel: ReplyChannel, phase: Phase, *, alone: bool = False) -> bytes:
        id = exchange.id
        assert id is not None
        try:
            admit(phase, exchange.method)
        except RpcError as error:
            return encode_error(id, error)
        body, failure = await serve_call(self._kernel, exchange, channel)
        if failure is not None and alone and not channel.started:
            self._gate.turn_away(failure, id)
        return body

    async def _abandon(self, visit: Visit, session: Session, channel: ReplyChannel, id: Id) -> None:
        if session.phase is Phase.CLOSED and not channel.started:
            raise unknown_session(id)
        await channel.abandon()

    async def _batch(self, visit: Visit, session: Session, batch: Batch) -> None:
        """One message after the other; the whole batch is answered at once (BAT-01, BAT-05)."""
        if not session.revision.batch:
            await visit.answer(
                400, encode_error(None, InvalidRequest("This revision has no batches; send one message"))
            )
            return
        kinds = {isinstance(entry, (Response, ErrorResponse)) for entry in batch.messages}
        if len(kinds) > 1:
            fault = InvalidRequest("A batch holds requests and notifications, or answers; send answers by themselves")
            await visit.answer(400, encode_error(None, fault))
            return

        async def notified(notification: Notification) -> None:
            await hear(session, notification)
            await self._kernel.notified(exchange_in(session, visit, notification, SILENT))

        async def answered(message: Message) -> None:
            if isinstance(message, (Response, ErrorResponse)):
                await session.answered(message)

        async def serve(request: Request) -> bytes:
            return await self._batched(visit, session, request)

        body = await serve_batch(batch, serve, notified, answered)
        await session.keep()
        if body is None:
            await visit.answer_empty(202)
        else:
            await visit.answer(200, body)

    async def _batched(self, visit: Visit, session: Session, request: Request) -> bytes:
        channel = ReplyChannel(visit, session.revision.http, session, self._patience, self._reception.is_draining)
        channel.speaks = False  # what it says goes to the GET stream: one response can't be many streams
        try:
            self._reception.check_load(session, request.id)
            session.peer.begin(request.id, channel)
        except InvalidRequest as error:
            return encode_error(request.id, error)
        except Refused as refusal:
            return refusal.body
        try:
            return await self._served(exchange_in(session, visit, request, channel), channel, session.phase)
        finally:
            session.peer.end(request.id)

    # ── GET and DELETE ───────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, visit: Visit) -> None:
        """Open the session's own stream, or go on with one that broke (SHL-20 to SHL-35)."""
        if not visit.accept & EVENTS:
            raise Refused(406, "GET opens an event stream: accept text/event-stream; to call a method use POST")
        session = await self._named(visit)
        self._reception.begin_stream(visit)
        try:
            await self._follow(visit, session, await self._reader(session, visit.headers.get("last-event-id")))
        finally:
            self._reception.end_stream(visit)

    async def _follow(self, visit: Visit, session: Session, reader: Reader) -> None:
        events = EventResponse(visit, self._patience)
        guard = Guard(visit.receive, self._patience.keep_alive, reader.close, lambda: events.write(KEEP_ALIVE))
        self._readers[reader] = session
        try:
            greeting = await self._greeting(session, resumed="last-event-id" in visit.headers)
            await events.begin()
            await events.write(greeting)
            guard.watch()
            await self._reception.listens(session)
            await _pump(reader, events, ids=session.revision.http.resumable)
            if session.revision.http.priming:
                await events.write(b"retry: %d\n\n" % self._patience.retry_ms)
            await events.end()
        except StoreAway:
            if not events.begun:
                raise
            await events.end()  # the client comes back
        finally:
            guard.disarm()
            reader.close()
            del self._readers[reader]

    async def delete(self, visit: Visit) -> None:
        """End the session and all of its work (SHL-46)."""
        await self._store.end(await self._named(visit))
        await visit.answer_empty(204)

    def drain(self) -> None:
        """End all GET streams; calls in flight go on."""
        for reader in tuple(self._readers):
            reader.close()

    async def _named(self, visit: Visit) -> Session:
        version = visit.headers.get(VERSION_HEADER)
        if version is not None and version not in REVISIONS:
            raise Refused(400, f"Unsupported MCP-Protocol-Version; use one of {', '.join(REVISIONS)}")
        session_id = visit.headers.get(SESSION_HEADER)
        if session_id is None:
            raise Refused(400, "Mcp-Session-Id is missing; it came with the answer to initialize")
        session = await self._store.get(session_id, visit.principal)
        if session is None or session.streamed:
            raise unknown_session(None)
        return session

    async def _reader(self, session: Session, last_event_id: str | None) -> Reader:
        if sum(of is session for of in self._readers.values()) >= MAX_READERS:
            raise Refused(409, f"This session has {MAX_READERS} open streams already; close one first")
        try:
            stream, after = session.mailbox.find(last_event_id) if last_event_id is not None else (GENERAL, None)
            reader = session.mailbox.follow(stream, after)
            await reader.begin()
        except UnknownEvent:
            raise Refused(400, "Nothing can be resumed after this Last-Event-ID; send the request anew") from None
        return reader

    async def _greeting(self, session: Session, *, resumed: bool) -> bytes:
        """The first bytes at once, for proxies and impatient clients; an id to come back to, where that is known."""
        if resumed or not session.revision.http.priming:
            return KEEP_ALIVE
        mark = await session.mailbox.mark(GENERAL)
        return encode_event(b"", id=mark, retry=self._patience.retry_ms)


async def _pump(reader: Reader, events: EventResponse, *, ids: bool) -> None:
    take = partial(_put, events, ids)
    while events.open:
        found = await reader.next(take)
        if not found:
            return
        await events.write(b"".join([_framed(stored, ids) for stored in found]))


def _put(events: EventResponse, ids: bool, stored: Stored) -> bool:
    return events.put(_framed(stored, ids))


def _framed(stored: Stored, ids: bool) -> bytes:
    return encode_event(stored.data, id=stored.id if ids else None)

"""HTTP+SSE, the first HTTP transport: GET opens the stream that is the session, POSTs are answered on it.

The stream is carried by sse-starlette. What must never stand here: Streamable HTTP, which revision governs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

from sse_starlette import EventSourceResponse

from mcpkit.aio import contain
from mcpkit.framing.sse import encode_event
from mcpkit.jsonrpc.codec import BadParams, Limits, decode, encode_error, encode_notification, encode_request
from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, RpcError
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Id, JsonObject, Message, Notification, Request, Response
from mcpkit.kernel import Kernel
from mcpkit.limits import BoundReached
from mcpkit.protocol.envelope import META_PROTOCOL_VERSION, has_envelope
from mcpkit.protocol.exchange import SILENT
from mcpkit.protocol.headers import VERSION_HEADER
from mcpkit.protocol.lifecycle import Phase, admit, negotiate, read_initialize
from mcpkit.protocol.revisions.registry import ENVELOPE_NAMES, HANDSHAKE_NAMES
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import Posted, StoreAway
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Event, Header, Receive, Refused, Scope, Send, Visit, refuse
from mcpkit.transports.calls import CallCancelled, id_of, serve_call
from mcpkit.transports.gate import EVENTS, Gate
from mcpkit.transports.load import Load, Scales
from mcpkit.transports.outbox import StreamOutbox
from mcpkit.transports.question import Question
from mcpkit.transports.reception import Reception, exchange_in, hear, refusal_of, unknown_session
from mcpkit.transports.streams import KEEP_ALIVE

T = TypeVar("T")
ALLOW_GET: Final[Header] = (b"allow", b"GET, OPTIONS")
ALLOW_NOTHING: Final[Header] = (b"allow", b"OPTIONS")
SECRET: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Header fields that stay at the replica which checked them."""


class StreamCall:
    """One call that is served in a task of its own, because its answer does not go where it came from.

    A :class:`~mcpkit.protocol.exchange.Channel` for the handler and a ``Cancellable`` for the session's peer.
    """

    __slots__ = ("_outbox", "_session", "caller", "cancelled", "hung_up", "task", "weight")
    closing = False
    """Whoever ends the stream cancels its calls by name."""

    def __init__(self, session: Session, outbox: StreamOutbox) -> None:
        self._session = session
        self._outbox = outbox
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False
        self.hung_up = False
        self.weight = 0
        """What its request was found to weigh (load.Scales), until that is given back."""
        self.caller = ""
        """Who it was weighed for."""

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification on the session's stream."""
        await self._outbox.put(encode_notification(method, params))

    def offer(self, notification: bytes) -> bool:
        """Never: who sends waits while the client is slow to read."""
        return False

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Ask the client on the session's stream and wait for its answer.

        Raises: RpcError.
        """
        question = Question()
        asked = self._session.peer.ask(method, params, question)
        try:
            await self._outbox.put(encode_request(asked.id, method, params))
            return await question.answer
        except asyncio.CancelledError:
            self._session.peer.forget(asked.id)
            question.drop()
            raise

    def close_stream(self, retry_ms: int | None = None) -> None:
        """There is no way back to a stream of this transport."""

    def hang_up(self) -> None:
        """End the session once this is answered."""
        self.hung_up = True

    def run(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Await the handler in the call's own task."""
        return contain(work)

    def cancel(self, reason: str | None) -> None:
        """Stop the handler."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()


class HttpSse:
    """Answers GET on the SSE URL; :meth:`post` takes what is posted for one of its streams."""

    __slots__ = (
        *("_gate", "_handed", "_kernel", "_limits", "_load", "_outboxes", "_path", "_reception", "_scales"),
        *("_settings", "path"),
    )

    def __init__(
        self, kernel: Kernel, reception: Reception, gate: Gate, settings: Settings, path: str, scales: Scales
    ) -> None:
        """``path`` is where to post to, beside this URL; :attr:`path` says what this URL ends in."""
        self.path = "/sse"
        self._kernel = kernel
        self._reception = reception
        self._gate = gate
        self._settings = settings
        self._path = path
        self._scales = scales
        self._load = Load(settings.max_pending_bytes, settings.caller_share, least=settings.max_result_bytes)
        self._outboxes: dict[str, StreamOutbox] = {}
        self._handed: dict[str, asyncio.Task[None]] = {}
        self._limits = Limits(settings.max_json_depth, settings.max_batch, settings.max_json_values)
        reception.store.take_posts(self._take)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request to the SSE URL."""
        extra: tuple[Header, ...] = ()
        try:
            visit = await self._gate.admit(scope, receive, send)
            extra = visit.extra
            if scope["method"] == "OPTIONS":
                visit.extra = self._gate.preflight(visit)
                await visit.answer_empty(204)
                return
            if scope["method"] != "GET":
                raise Refused(405, f"This URL takes GET only; POST goes to {self._path}", [ALLOW_GET])
            if not visit.accept & EVENTS:
                raise Refused(406, "This URL is an event stream: accept text/event-stream")
            self._reception.begin_stream(visit)
        except (Refused, StoreAway) as error:
            await refuse(send, refusal_of(error), extra)
            return
        try:
            await self._stream(visit, await self._open(visit))
        except (Refused, StoreAway) as error:
            await refuse(send, refusal_of(error), extra)
        finally:
            self._reception.end_stream(visit)

    def drain(self) -> None:
        """Let every stream end as soon as its calls are answered."""
        for outbox in tuple(self._outboxes.values()):
            outbox.drain()

    async def _open(self, visit: Visit) -> Session:
        if not self._reception.store.keeps:
            raise Refused(405, f"No sessions are kept here; post to {self._path} instead", [ALLOW_NOTHING])
        session = await self._reception.open(visit)
        session.outbox = self._outboxes[session.id] = StreamOutbox(
            lambda: session.peer.in_flight == 0, self._load, visit.caller
        )
        try:
            await session.keep()
        except StoreAway:
            del self._outboxes[session.id]
            raise
        return session

    async def _stream(self, visit: Visit, session: Session) -> None:
        outbox = self._outboxes[session.id]
        uri = f"{quote(self._place(visit.scope))}{self._path}?session_id={session.id}"
        response = EventSourceResponse(
            _framed(uri, outbox, self._settings.keep_alive_seconds),
            headers={"Cache-Control": "no-cache, no-transform", **_text(visit.extra)},
            ping=0,  # we do it: a timer takes less memory than a task
            sep="\n",
            send_timeout=self._settings.send_seconds,
            shutdown_event=cast(Any, _Farewell(outbox.drain)),
            shutdown_grace_period=self._settings.grace_seconds,
        )
        try:
            await response(visit.scope, visit.receive, cast(Any, visit.send))
        except TimeoutError:
            return  # the client reads nothing any more
        finally:
            self._outboxes.pop(session.id).drop()  # nobody reads it any more: it holds nothing, and no sender up
            self._handed.pop(session.id, None)
            with suppress(StoreAway):  # elsewhere it ends later
                await self._reception.store.end(session)

    def _place(self, scope: Scope) -> str:
        """What the client's URL has before our own part of it: a proxy's prefix, a router's, or nothing (HSSE-10)."""
        path: str = scope["path"]
        root: str = scope.get("root_path") or ""
        asked = path if path.startswith(f"{root}/") else root + path
        return asked.rstrip("/").removesuffix(self.path) if asked.rstrip("/").endswith(self.path) else root

    # ── what is posted for a stream ──────────────────────────────────────────────────────────────────────────────

    async def post(self, visit: Visit, session_id: str, message: Message | Batch) -> None:
        """Take one message; whatever is to be answered is answered on the stream (HSSE-07)."""
        session, outbox = await self._named(visit, session_id, id_of(message))
        if outbox is None:
            await self._hand_over(visit, session, id_of(message))
        elif isinstance(message, Request):
            await self._begin(visit, session, outbox, message)
            await visit.answer_empty(202)
        elif isinstance(message, Notification):
            await hear(session, message)
            await visit.answer_empty(202)
            await self._kernel.notified(exchange_in(session, visit, message, SILENT))
        elif isinstance(message, Batch):
            await self._batch(visit, session, outbox, message)
        else:
            await session.answered(message)
            await visit.answer_empty(202)

    async def post_error(self, visit: Visit, session_id: str, id: Id, error: RpcError) -> None:
        """A call that can't be read as one, but has an id to answer under."""
        session, outbox = await self._named(visit, session_id, id)
        if outbox is None:
            await self._hand_over(visit, session, id)
            return
        await outbox.put(encode_error(id, InvalidParams(error.message)))
        await visit.answer_empty(202)

    async def _hand_over(self, visit: Visit, session: Session, id: Id | None) -> None:
        """The stream is at another replica, and so is everything of its session."""
        kept = {name: value for name, value in visit.headers.items() if name not in SECRET}
        if not await self._reception.store.hand_over(session, Posted(kept, visit.principal, visit.posted)):
            raise unknown_session(id)  # that replica is gone, and the stream with it
        await visit.answer_empty(202)

    async def _take(self, session: Session, posted: Posted) -> None:
        """Something was posted at another replica for a stream here: served in the order in which it came."""
        outbox = self._outboxes.get(session.id)
        if outbox is None:
            return
        visit = _Handed(posted, session.caller)
        try:  # it waits here until what came before is taken, which may be long where the client reads slowly
            visit.weight = self._scales.take(posted.body, visit.caller)
        except BoundReached as reached:
            outbox.offer(Refused(429 if reached.of_caller else 503, str(reached)).body)
            return
        before = self._handed.get(session.id)
        task = self._handed[session.id] = asyncio.create_task(self._serve_handed(visit, session, posted, before))
        task.add_done_callback(lambda _: self._scales.give(visit.weight, visit.caller))

    async def _serve_handed(
        self, visit: Visit, session: Session, posted: Posted, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            try:
                message = decode(posted.body, self._limits)
            except BadParams as error:
                if error.id is not None:
                    await self.post_error(visit, session.id, error.id, error)
                return
            await self.post(visit, session.id, message)
        except Refused as refusal:  # its client was told 202 already
            outbox = self._outboxes.get(session.id)
            if outbox is not None:
                await outbox.put(refusal.body)
        except StoreAway:
            return

    async def _named(self, visit: Visit, session_id: str, id: Id | None) -> tuple[Session, StreamOutbox | None]:
        if visit.headers.get(VERSION_HEADER) in ENVELOPE_NAMES:
            raise Refused(400, "This revision is not served over HTTP+SSE; post to the URL without session_id", id=id)
        session = await self._reception.store.get(session_id, visit.principal)
        outbox = self._outboxes.get(session_id)
        if session is None or not session.streamed or (outbox is not None and outbox.closed):
            raise unknown_session(id)
        return session, outbox

    async def _begin(self, visit: Visit, session: Session, outbox: StreamOutbox, request: Request) -> None:
        self._reception.check_load(session, request.id)
        call = StreamCall(session, outbox)
        try:
            _admit(session, request)
            session.peer.begin(request.id, call)
            if request.method == "initialize":
                _shake_hands(session, request)
        except RpcError as error:
            await outbox.put(encode_error(request.id, error))
            return
        call.weight, visit.weight, call.caller = visit.weight, 0, visit.caller
        work = self._work(visit, session, outbox, request, call)
        if request.method == "initialize":  # what is posted next must find it done (INIT-14)
            await work
        else:
            call.task = asyncio.create_task(work)
            call.task.add_done_callback(lambda _: self._relieve(call))  # also one that is cancelled before it begins

    async def _work(
        self, visit: Visit, session: Session, outbox: StreamOutbox, request: Request, call: StreamCall
    ) -> None:
        id = request.id
        try:
            exchange = exchange_in(session, visit, request, call)
            try:
                body, _ = await serve_call(self._kernel, exchange, call)
            finally:
                self._relieve(call)
            del visit, request, exchange  # what was asked takes no room any more
            await outbox.put(body)  # in flight while it waits for its reader: such calls are bounded
        except CallCancelled:
            return
        finally:
            session.peer.end(id)
            outbox.look()
        if call.hung_up:
            with suppress(StoreAway):
                await self._reception.store.end(session)

    def _relieve(self, call: StreamCall) -> None:
        weight, call.weight = call.weight, 0
        self._scales.give(weight, call.caller)

    async def _batch(self, visit: Visit, session: Session, outbox: StreamOutbox, batch: Batch) -> None:
        if not session.revision.batch or session.phase is Phase.NEW:
            raise Refused(400, "Batches are not part of the revision in force; send one message at a time")
        for entry in batch.messages:
            if isinstance(entry, Request):
                await self._begin(visit, session, outbox, entry)
            elif isinstance(entry, InvalidRequest):
                await outbox.put(encode_error(entry.id, entry, null_id=True))
            elif isinstance(entry, (Response, ErrorResponse)):
                await session.answered(entry)
            else:
                await hear(session, entry)
                await self._kernel.notified(exchange_in(session, visit, entry, SILENT))
        await visit.answer_empty(202)


class _Handed(Visit):
    """What was posted at another replica, which has said 202 to it: there is nobody to answer."""

    def __init__(self, posted: Posted, caller: str) -> None:
        async def nothing() -> Event:
            return {"type": "http.disconnect"}

        async def nowhere(event: Event) -> None:
            return

        super().__init__({"type": "http"}, nothing, nowhere, posted.headers, EVENTS)
        self.principal = posted.principal
        self.caller = caller
        self.body = posted.body


class _Farewell:
    """What sse-starlette sets when the process goes down: it only knows events, we want to be called."""

    __slots__ = ("set",)

    def __init__(self, called: Callable[[], None]) -> None:
        self.set = called


def _admit(session: Session, request: Request) -> None:
    """INIT-13 and HSSE-12: before the handshake there is no other era on this transport either."""
    if session.phase is Phase.NEW and request.method != "server/discover" and _is_of_another_era(request):
        raise InvalidRequest("This revision is not served over HTTP+SSE; send initialize, or post to the MCP URL")
    admit(session.phase, request.method)


def _is_of_another_era(request: Request) -> bool:
    if not has_envelope(request.params):
        return False
    declared = request.params["_meta"].get(META_PROTOCOL_VERSION)
    return not isinstance(declared, str) or declared not in HANDSHAKE_NAMES


def _shake_hands(session: Session, request: Request) -> None:
    offered, client = read_initialize(request.params)
    session.revision, session.client, session.phase = negotiate(offered), client, Phase.INITIALIZING


async def _framed(uri: str, outbox: StreamOutbox, keep_alive: float) -> AsyncIterator[bytes]:
    yield encode_event(uri.encode(), event="endpoint")
    async for data in outbox.messages(keep_alive):
        yield encode_event(data, event="message") if data else KEEP_ALIVE


def _text(headers: tuple[Header, ...]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}

"""How one HTTP request is answered: as JSON when nothing was said, as an event stream from the first word on.

The handler runs in the request's own task; the head of a stream is sent from inside the await of its first word.
What must never stand here: which revision it is (its HttpRules say what HTTP looks like), JSON-RPC methods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from mcpkit.aio import HandlerSteps, as_exception, cancel_requests, take_back
from mcpkit.framing.sse import encode_event
from mcpkit.jsonrpc.codec import encode_notification, encode_request
from mcpkit.jsonrpc.messages import Id, JsonObject
from mcpkit.protocol.exchange import NoBackChannel
from mcpkit.protocol.revisions.revision import HttpRules
from mcpkit.sessions.delivery import GENERAL, Mailbox
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import StoreAway
from mcpkit.transports.asgi import Visit
from mcpkit.transports.gate import EVENTS, JSON
from mcpkit.transports.question import Question
from mcpkit.transports.steps import Turns, forgiven
from mcpkit.transports.streams import KEEP_ALIVE, EventResponse, Guard, Patience

T = TypeVar("T")
CANCELLED: Final = "notifications/cancelled"


class ReplyChannel:
    """The channel of one request over Streamable HTTP, and the way its answer goes out.

    It is a :class:`~mcpkit.protocol.exchange.Channel` for the handler and a ``Cancellable`` for the session's peer.
    """

    _events: EventResponse | None = None
    _stream: str | None = None
    _turns: Turns | None = None
    _guard: Guard | None = None
    _task: asyncio.Task[object] | None = None
    _parting: asyncio.Task[None] | None = None
    call: Id | None = None
    """The id of the request, where its answer may be fetched later, from another replica perhaps."""
    cancelled = False
    hung_up = False

    def __init__(
        self,
        visit: Visit,
        rules: HttpRules,
        session: Session | None,
        patience: Patience,
        closing: Callable[[], bool] = bool,
    ) -> None:
        """``closing`` tells whether the server goes down."""
        self._visit = visit
        self._closing = closing
        self._rules = rules
        self._session = session
        self._patience = patience
        self.speaks = visit.accept & EVENTS > 0
        """Whether a stream is there to speak on: the caller takes one (SHC-08) and has no answer yet (LOG-06)."""

    @property
    def started(self) -> bool:
        """Whether the response has begun."""
        return self._events is not None

    @property
    def closing(self) -> bool:
        """Whether the server goes down."""
        return self._closing()

    # ── the handler's side ───────────────────────────────────────────────────────────────────────────────────────

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification on the request's own stream."""
        data = encode_notification(method, params)
        if self.speaks:
            if not self.offer(data):
                await self._say(data)
        elif self._session is not None and not self.cancelled:  # what can't be said here is heard where it listens
            with suppress(StoreAway):
                await self._session.mailbox.append(GENERAL, data)

    def offer(self, notification: bytes) -> bool:
        """Send a notification at once, where nobody else speaks, nothing is stored first and nothing has to wait."""
        events, turns = self._events, self._turns
        if not self.speaks or self._stream is not None or events is None or turns is None or self.cancelled:
            return False
        return turns.free and events.put(encode_event(notification))

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Ask the client on the request's own stream and wait for the answer, which comes in another POST.

        Raises: NoBackChannel, RpcError.
        """
        session = self._session
        if session is None or not (self.speaks or session.mailbox.is_followed(GENERAL)):
            raise NoBackChannel(
                "this caller can't be asked: it has no session, or no stream that a question could take"
            )
        question = Question()
        asked = session.peer.ask(method, params, question)
        data = encode_request(asked.id, method, params)
        try:
            if self.speaks:
                await self._say(data)
            else:
                await session.mailbox.append(GENERAL, data)
            return await question.answer
        except StoreAway as away:
            session.peer.forget(asked.id)
            raise NoBackChannel(str(away)) from None
        except asyncio.CancelledError:
            session.peer.forget(asked.id)
            question.drop()
            if not self.cancelled:  # our own timeout: the client may close its dialog (TIME-01)
                await self.notify(CANCELLED, {"requestId": asked.id, "reason": "the server no longer waits"})
            raise

    def close_stream(self, retry_ms: int | None = None) -> None:
        """End the HTTP response but not the request, where the client can come back for the rest (SHL-08)."""
        if self.speaks and self._rules.priming and self._session is not None and self._parting is None:
            self._parting = asyncio.get_running_loop().create_task(self._part(retry_ms or self._patience.retry_ms))

    def hang_up(self) -> None:
        """End the session, or close the connection, once this is answered."""
        self.hung_up = True

    def cancel(self, reason: str | None) -> None:
        """Stop the handler; its caller wants no answer any more (CANC-03)."""
        self.cancelled = True
        if self._task is not None:
            self._task.cancel()

    # ── the transport's side ─────────────────────────────────────────────────────────────────────────────────────

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await the handler in this very task; watch the caller only if it suspends.

        Raises: as calls.CallChannel says.
        """
        try:
            waited = work.send(None)
        except StopIteration as done:
            result: T = done.value
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                await take_back(task.cancelling())
            return result
        except BaseException as error:
            await take_back(cancel_requests())
            raise as_exception(error)  # noqa: B904 - it knows its cause
        task = asyncio.current_task()
        self._task = task
        patience = self._patience
        self._guard = Guard(self._visit.receive, patience.keep_alive, self._gone, self._breathe)
        self._guard.arm(patience.watch_after)
        steps = HandlerSteps(work, waited, 0)
        try:
            return await steps
        except BaseException as error:
            raise steps.ended(error)  # noqa: B904 - as above
        finally:
            if not steps.closed:
                await self._settle(steps)

    def finish(self, status: int, body: bytes) -> Awaitable[None]:
        """Send the answer: on the stream if there is one, else in the form that the caller takes."""
        speaks, self.speaks = self.speaks, False
        if self._events is not None or self._parting is not None:
            return self._finish_stream(body)
        if self._visit.accept & JSON or status >= 400 or not speaks:
            return self._visit.answer(status, body)
        return self._visit.answer_event(body)

    async def abandon(self) -> None:
        """End the response of a cancelled call without an answer (CANC-03, CANC-06)."""
        self.speaks = False
        if self._parting is not None:
            await self._parting
        if self._session is not None and self._stream is not None:
            self._session.mailbox.drop(self._stream)
        if self._events is not None:
            await self._events.end()
        elif not self._rules.disconnect_cancels:
            await self._visit.answer_empty(202)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _settle(self, steps: HandlerSteps[Any]) -> None:
        """The handler is done: nobody may cancel this task for its sake any more, and no cancel may come late."""
        task, self._task = self._task, None
        if self._guard is not None:
            self._guard.disarm()
        if self.cancelled and task is not None:
            await forgiven(task)
        else:
            await take_back(steps.own)

    async def _say(self, data: bytes | None) -> None:
        """Send a message, or where there is none a sign of life."""
        if self.cancelled:
            await asyncio.sleep(0)  # a handler that only ever speaks meets its cancel here
        rest = self._in_turn(self._write(KEEP_ALIVE) if data is None else self._send(data))
        if rest is not None:
            await rest
        assert self._events is not None
        if not self._events.open:
            self._gone()

    async def _send(self, data: bytes) -> None:
        """Stored before sent, and sent here only if no other response has taken the stream over.

        What can't be stored is sent without an event id: it reaches a client that is here, and can't be resumed from.
        """
        events, id = self._events or await self._open(), None
        if self._stream is not None:
            try:
                id = await self._mailbox().append(self._stream, data)
            except StoreAway:
                id = None
            if not self._sends(id):
                return
        chunk = encode_event(data, id=id)
        if not events.put(chunk):
            await events.write(chunk)

    def _sends(self, id: str | None) -> bool:
        """Whether what was stored under ``id`` (None: it was not) is sent on this response."""
        return id is None or (id != "" and not self._mailbox().is_followed(self._stream or ""))

    async def _finish_stream(self, body: bytes) -> None:
        if self._parting is not None:
            await self._parting
        events, id = self._events, None
        assert events is not None
        if self._stream is not None:
            with suppress(StoreAway):
                id = await self._mailbox().append(self._stream, body, last=True)
        await events.end(encode_event(body, id=id) if self._stream is None or self._sends(id) else b"")

    async def _open(self) -> EventResponse:
        events = self._events = EventResponse(self._visit, self._patience)
        await events.begin()
        if self._rules.resumable and self._session is not None:
            mailbox = self._mailbox()
            self._stream = mailbox.open(self.call)
            if self._rules.priming:
                with suppress(StoreAway):  # then there is nothing to come back to
                    mark = await mailbox.mark(self._stream)
                    await events.write(encode_event(b"", id=mark, retry=self._patience.retry_ms))
        return events

    async def _part(self, retry_ms: int) -> None:
        rest = self._in_turn(self._write(b"retry: %d\n\n" % retry_ms, last=True))
        if rest is not None:
            await rest

    async def _breathe(self) -> None:
        """Nothing was sent for a while: keep the line alive; a stream begins if there is none yet (SHM-13)."""
        if self.speaks and self._parting is None:
            await self._say(None)

    async def _write(self, chunk: bytes, *, last: bool = False) -> None:
        events = self._events or await self._open()
        await events.write(chunk)
        if last:
            await events.end()

    def _in_turn(self, work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
        """Messages leave in the order of their event ids, whatever tasks of the handler and the guard send them."""
        if self._turns is None:
            self._turns = Turns()
        return self._turns.take(work)

    def _gone(self) -> None:
        """The client has left: by revision that cancels the call, or it may come back (CANC-06, CANC-09)."""
        if self._events is not None:
            self._events.open = False
        fetched_later = self._session is not None and not self._rules.disconnect_cancels
        if not fetched_later and not self.cancelled:
            self.cancel("the client went away")

    def _mailbox(self) -> Mailbox:
        assert self._session is not None
        return self._session.mailbox

"""One conversation with one server over one transport, from the agreement on a revision to its end.

Stamps what goes out, lifts what comes in to the newest names, keeps deadlines, routes what the server says. It never
heals: when it is lost, it is lost (core.py makes another). What must never stand here: how a revision is agreed on
(era.py), a method's meaning.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcpkit.client.answers import Answers
from mcpkit.client.background import log
from mcpkit.client.deadline import Deadline
from mcpkit.client.errors import ClientError, ConnectionLost, Timeout
from mcpkit.client.identity import Identity
from mcpkit.client.limits import Patience
from mcpkit.client.notices import Delivery, ProgressHandler, progress_of
from mcpkit.client.questions import Questions
from mcpkit.client.results import ServerDescription
from mcpkit.client.transports.transport import Call, Transport
from mcpkit.jsonrpc.messages import JsonObject, Notification, Request
from mcpkit.protocol.revisions.revision import Asks, Revision


@dataclass(slots=True)
class Manner:
    """How one request is to be made."""

    silence: float | None = 60.0
    """Seconds without a sign of life after which it is given up."""
    whole: float | None = 600.0
    """Seconds after which it is given up whatever happens."""
    progress: ProgressHandler | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    """Sending it twice does no harm."""
    sent: Callable[[Call], None] | None = None
    """Is shown the call before it goes out: subscriptions are told apart by its id."""


class _Progressing:
    """A call that may report progress: whom to tell, and the deadline that each report moves."""

    __slots__ = ("_deadline", "_end", "_last", "_manner")

    def __init__(self, manner: Manner, deadline: asyncio.Timeout, started: float) -> None:
        self._manner = manner
        self._deadline = deadline
        self._end = None if manner.whole is None else started + manner.whole
        self._last: float | None = None

    def reported(self, params: JsonObject, delivery: Delivery) -> None:
        progress = progress_of(params)
        if progress is None or (self._last is not None and progress.progress <= self._last):
            return  # PROG-02: a report that does not go forward is no sign of life
        self._last = progress.progress
        if self._deadline.expired():
            return
        self._deadline.reschedule(_sooner(asyncio.get_running_loop().time(), self._manner.silence, self._end))
        if self._manner.progress is not None:
            delivery.put(self._manner.progress, progress)


class Connection:
    """A conversation; ``revision`` and ``server`` are there once it is agreed."""

    def __init__(
        self,
        transport: Transport,
        identity: Identity,
        answers: Answers,
        patience: Patience,
        told: Callable[[Connection, Notification], None],
    ) -> None:
        self.transport = transport
        self.identity = identity
        self.patience = patience
        self.delivery = Delivery(patience.bounds.notices)
        self.revision: Revision | None = None
        self.server = ServerDescription()
        self.stamp: JsonObject = {}
        """What every request says in its ``_meta``."""
        self.lost: ClientError | None = None
        self.on_lost: Callable[[Connection], None] | None = None
        self._told = told
        self._questions = Questions(answers, transport.send, patience.bounds.questions)
        self._tokens = itertools.count(1)
        self._progressing: dict[int, _Progressing] = {}
        self._in_flight = 0
        self._idle: asyncio.Event | None = None

    @property
    def spoken(self) -> Revision:
        """The revision agreed on.

        Raises: ConnectionLost before that.
        """
        if self.revision is None:
            raise ConnectionLost("the connection is not ready", sent=False)
        return self.revision

    async def open(self) -> None:
        """Open the transport."""
        try:
            async with Deadline.after(self.patience.deadlines.connect):
                await self.transport.open(self._received, self._was_lost)
        except TimeoutError:
            raise Timeout("the connection could not be opened in time") from None

    def agreed(self, revision: Revision, server: ServerDescription, stamp: JsonObject) -> None:
        """From now on this revision is spoken."""
        self.revision, self.server, self.stamp = revision, server, stamp
        self.transport.speak(revision)

    async def request(self, method: str, params: JsonObject, manner: Manner) -> JsonObject:
        """The result, by its newest names.

        Raises: ServerRefused, Timeout, ConnectionLost and the other ClientErrors.
        """
        revision = self.spoken
        lower, lift = revision.lower_params.get(method), revision.lift.get(method)
        call = Call(method, lower(params) if lower is not None else params, manner.headers)
        if manner.sent is not None:
            manner.sent(call)
        self._in_flight += 1
        try:
            result = await self._timed(call, manner)
        finally:
            self._in_flight -= 1
            if self._idle is not None and not self._in_flight:
                self._idle.set()
        return lift(result) if lift is not None else result

    async def exchange(
        self, method: str, params: JsonObject, seconds: float | None, *, cancellable: bool
    ) -> JsonObject:
        """A request as it stands, for the agreement itself: nothing stamped, nothing lifted.

        Raises: as ``request``.
        """
        try:
            async with Deadline.after(seconds):
                return await self.transport.call(Call(method, params, cancellable=cancellable))
        except TimeoutError:
            raise Timeout(f"{method} was not answered within {seconds:g} seconds") from None

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification.

        Raises: ClientError.
        """
        try:
            async with Deadline.after(self.patience.deadlines.handshake):
                await self.transport.send(Notification(method, self._stamped(params, {}) if self.stamp else params))
        except TimeoutError:
            raise Timeout(f"{method} could not be sent in time") from None

    async def retire(self) -> None:
        """A successor is there: let the calls underway end, for a while, then close."""
        if self._in_flight:
            self._idle = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience.deadlines.handshake):
                    await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        """End the conversation, in bounded time."""
        self.lost = self.lost or ConnectionLost("the connection was closed", sent=False)
        await self._questions.stop()
        await self.transport.close()
        await self.delivery.stop()

    async def _timed(self, call: Call, manner: Manner) -> JsonObject:
        started = asyncio.get_running_loop().time()
        token = next(self._tokens) if manner.progress is not None else None
        meta = manner.meta if token is None else {**manner.meta, "progressToken": token}
        call.params = self._stamped(call.params, meta)
        end = None if manner.whole is None else started + manner.whole
        try:
            async with Deadline(_sooner(started, manner.silence, end)) as deadline:
                if token is not None:
                    self._progressing[token] = _Progressing(manner, deadline, started)
                return await self.transport.call(call)
        except TimeoutError:
            waited = asyncio.get_running_loop().time() - started
            raise Timeout(f"{call.method} was not answered within {waited:.3g} seconds") from None
        finally:
            if token is not None:
                self._progressing.pop(token, None)
                await self.delivery.drained(self.patience.deadlines.goodbye)

    def _stamped(self, params: JsonObject, meta: Mapping[str, Any]) -> JsonObject:
        if not self.stamp and not meta:
            return params
        return {**params, "_meta": {**self.stamp, **params.get("_meta", {}), **meta}}

    def _received(self, message: Request | Notification) -> None:
        if isinstance(message, Request):
            self._asked(message)
        elif message.method == "notifications/progress":
            self._progressed(message.params)
        else:
            if message.method == "notifications/cancelled":
                self._questions.cancelled(message.params.get("requestId"), message.params.get("reason"))
            self._told(self, message)

    def _asked(self, request: Request) -> None:
        if self.revision is not None and self.revision.asks is not Asks.SERVER_REQUEST:
            log.warning("the server sent a request, %r, which its revision forbids", request.method)  # RPC-17
        else:
            self._questions.asked(request)

    def _progressed(self, params: JsonObject) -> None:
        token = params.get("progressToken")
        progressing = self._progressing.get(token) if type(token) is int else None
        if progressing is not None:
            progressing.reported(params, self.delivery)

    def _was_lost(self, error: ClientError) -> None:
        if self.lost is None:
            self.lost = error
            if self.on_lost is not None:
                self.on_lost(self)


def _sooner(now: float, silence: float | None, end: float | None) -> float | None:
    until = None if silence is None else now + silence
    return min((moment for moment in (until, end) if moment is not None), default=None)

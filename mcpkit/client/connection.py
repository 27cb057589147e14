"""One conversation with one server over one transport, from the agreement on a revision to its end.

Stamps what goes out, lifts what comes in to the newest names, keeps deadlines, routes what the server says. It never
heals: when it is lost, it is lost (core.py makes another). What must never stand here: how a revision is agreed on
(era.py), a method's meaning.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from mcpkit.client.answers import Answers
from mcpkit.client.background import log
from mcpkit.client.deadline import Deadline
from mcpkit.client.errors import ClientError, ConnectionLost, HttpRefused, Timeout
from mcpkit.client.identity import Identity
from mcpkit.client.limits import Patience
from mcpkit.client.notices import Delivery
from mcpkit.client.persistence import Persistence
from mcpkit.client.questions import Questions
from mcpkit.client.results import ServerDescription
from mcpkit.client.transports.transport import Call, Transport
from mcpkit.client.underway import Manner, Underway
from mcpkit.jsonrpc.messages import JsonObject, Notification, Request
from mcpkit.protocol.revisions.revision import Asks, Revision

T = TypeVar("T")


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
        self._questions = Questions(answers, transport.send, patience.bounds.questions, self._answering)
        self._tokens = itertools.count(1)
        self._underway: dict[int, Underway] = {}
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

        async def once() -> None:
            try:
                async with Deadline.after(self.patience.deadlines.connect):
                    await self.transport.open(self._received, self._was_lost)
            except TimeoutError:
                raise Timeout("the connection could not be opened in time") from None

        await self._unless_busy(once)

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

        async def once() -> JsonObject:
            try:
                async with Deadline.after(seconds):
                    return await self.transport.call(Call(method, params, cancellable=cancellable))
            except TimeoutError:
                stray = getattr(self.transport, "stray", "")  # an application's own transport need not have it
                raise Timeout(f"{method} was not answered within {seconds:g} seconds{stray}") from None

        return await self._unless_busy(once)

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

    async def _unless_busy(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What the attempt brings; again, after a while, where the server was busy and has not served it.

        Raises: what the attempt raises.
        """
        persistence = Persistence(self.patience, repeatable=False, seconds=self.patience.deadlines.handshake)
        while True:
            try:
                return await attempt()
            except HttpRefused as error:
                if error.served:
                    raise
                await asyncio.sleep(persistence.pause_after(error))

    async def _timed(self, call: Call, manner: Manner) -> JsonObject:
        started, token = asyncio.get_running_loop().time(), next(self._tokens)
        meta = manner.meta if manner.progress is None else {**manner.meta, "progressToken": token}
        call.params = self._stamped(call.params, meta)
        try:
            async with Deadline(manner.until(started, started)) as deadline:
                self._underway[token] = Underway(manner, deadline, started)
                return await self.transport.call(call)
        except TimeoutError:
            waited = asyncio.get_running_loop().time() - started
            raise Timeout(f"{call.method} was not answered within {waited:.3g} seconds") from None
        finally:
            self._underway.pop(token, None)
            if manner.progress is not None:
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
        underway = self._underway.get(token) if type(token) is int else None
        if underway is not None:
            underway.reported(params, self.delivery)

    def _answering(self, begins: bool) -> None:
        """While a question is being answered, perhaps by a user, no call runs out of time for the server's silence."""
        for underway in self._underway.values():
            if begins:
                underway.suspend()
            else:
                underway.alive()

    def _was_lost(self, error: ClientError) -> None:
        if self.lost is None:
            self.lost = error
            if self.on_lost is not None:
                self.on_lost(self)

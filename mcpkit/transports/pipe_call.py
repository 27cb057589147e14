"""What lives on a pipe: its handshake session, a call being served, a batch being answered.

What must never stand here: reading or writing bytes, what is served when (duplex.py).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from mcpkit.aio import contain
from mcpkit.jsonrpc.codec import encode_batch, encode_error, encode_notification, encode_request
from mcpkit.jsonrpc.errors import LONGEST_NAME, InternalError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.jsonrpc.peer import Peer
from mcpkit.protocol.exchange import Client, Exchange, NoBackChannel
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.transports.question import Question

log: Final = logging.getLogger("mcpkit.transports")

CANCELLED: Final = "notifications/cancelled"
LISTEN: Final = "subscriptions/listen"
"""Lasts until somebody ends it: neither counted as work, nor waited for."""

T = TypeVar("T")
Reply: TypeAlias = Callable[[bytes | None], None]
"""Takes the answer to one request; None when there is none to give."""


class Outlet(Protocol):
    """The way to the client. Messages written after its end are dropped."""

    def write(self, message: bytes) -> None:
        """Send one message, in order, without waiting."""

    async def drained(self) -> None:
        """Wait while the client is slow to read what was written."""


@dataclass(slots=True)
class PipeSession:
    """The one handshake session of a pipe (STDIO-20); satisfies ``protocol.exchange.SessionState``."""

    revision: Revision
    client: Client
    phase: Phase = Phase.NEW
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    log_level: str | None = None
    subscriptions: frozenset[str] = frozenset()
    elicitations: tuple[str, ...] = ()

    async def watch(self, uri: str) -> None:
        """Watch one URI more; there is no other caller to leave room for."""
        self.subscriptions |= {uri}

    def unwatch(self, uri: str) -> None:
        """Watch it no more."""
        self.subscriptions -= {uri}


class Call:
    """One request (or notification) being served: the handler's channel, and what the peer can cancel."""

    __slots__ = ("_open", "_outlet", "_peer", "_reply", "cancelled", "exchange", "hung_up", "task")
    closing = False
    """Whoever ends the pipe cancels its calls by name."""

    def __init__(self, exchange: Exchange, peer: Peer, outlet: Outlet, reply: Reply) -> None:
        self.exchange = exchange
        self.cancelled = False
        self.hung_up = False
        self.task: asyncio.Task[None] | None = None
        self._open = True
        self._peer = peer
        self._outlet = outlet
        self._reply = reply
        exchange.channel = self

    # ── the handler's side ───────────────────────────────────────────────────────────────────────────────────────

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification; nothing more is said for a call that was cancelled (STDIO-35), nor, where each request
        stands for itself, for one that was answered."""
        if self._open:
            self._outlet.write(encode_notification(method, params))
            await self._outlet.drained()

    def offer(self, notification: bytes) -> bool:
        """Never: who sends waits while the client is slow to read."""
        return False

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Ask the client and wait for its answer; one who stops waiting takes the question back.

        Raises: NoBackChannel, RpcError.
        """
        if self.exchange.session is None or not self._open:
            raise NoBackChannel("this caller can't be asked: it opened no session with initialize")
        question = Question()
        asked = self._peer.ask(method, params, question)
        self._outlet.write(encode_request(asked.id, method, params))
        try:
            return await question.answer
        except asyncio.CancelledError:
            self._peer.forget(asked.id)
            self._outlet.write(encode_notification(CANCELLED, {"requestId": asked.id}))
            raise

    def close_stream(self, retry_ms: int | None = None) -> None:
        """There is none of its own."""

    def hang_up(self) -> None:
        """End the pipe once this is answered."""
        self.hung_up = True

    # ── the pipe's side ──────────────────────────────────────────────────────────────────────────────────────────

    def run(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Await the handler in the call's own task."""
        return contain(work)

    def answer(self, data: bytes) -> None:
        """The handler is done; what it has to say to a call that was cancelled stays unsaid."""
        if self.cancelled:
            return
        self._open = self.exchange.session is not None  # work that outlives its request may still speak in a session
        self._end(data)

    def refuse(self, message: str) -> None:
        """It will not be served, for that reason."""
        self.answer(encode_error(self.exchange.id, InternalError(message)))

    def cancel(self, reason: str | None) -> None:
        """Stop the handler and fall silent; the caller may use the id again at once."""
        if self.cancelled:
            return
        self.cancelled = True
        self._open = False
        self._end(None)
        if self.task is not None:
            self.task.cancel()

    def give_up(self) -> None:
        """Stop the handler, whose time is over, and tell the caller so."""
        id = self.exchange.id
        if self.cancelled or id is None or self.exchange.method == LISTEN:
            self.cancel(None)
            return
        log.warning("%s was given up: the server ends, and MCP_SHUTDOWN_GRACE_SECONDS are over", named(self.exchange))
        self._reply, reply = _unheard, self._reply
        self.cancel(None)
        reply(encode_error(id, InternalError("The server is going down, and the call was given up; call it again")))

    def _end(self, data: bytes | None) -> None:
        if self.exchange.id is not None:
            self._peer.end(self.exchange.id)
        self._reply(data)


def named(exchange: Exchange) -> str:
    """The call as a log names it: its method, and the tool, prompt or resource that it means."""
    target = exchange.params.get("name", exchange.params.get("uri"))
    return f"{exchange.method} {target[:LONGEST_NAME]!r}" if isinstance(target, str) else exchange.method


def _unheard(data: bytes | None) -> None:
    """The reply of a call that is answered already."""


class BatchReply:
    """Gathers the answers to the requests of one batch and sends them as one array (BAT-05)."""

    __slots__ = ("_answers", "_expected", "_reply")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._answers: list[bytes] = []
        self._expected = 1

    def expect(self) -> Reply:
        """Where one more answer is to go."""
        self._expected += 1
        return self.__call__

    def __call__(self, data: bytes | None) -> None:
        """One answer, or the word that one will not come; called once more when all are expected."""
        if data is not None:
            self._answers.append(data)
        self._expected -= 1
        if self._expected == 0:
            self._reply(encode_batch(self._answers) if self._answers else None)

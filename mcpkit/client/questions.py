"""The server's own requests while they are being answered: each in a task of its own, cancellable, few at once.

What must never stand here: the answers (answers.py), a transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mcpkit.client.answers import Answers, refusal
from mcpkit.client.background import Background, log
from mcpkit.client.errors import ClientError
from mcpkit.client.transports.incoming import BadRequest
from mcpkit.jsonrpc.errors import InternalError, InvalidRequest
from mcpkit.jsonrpc.messages import ErrorResponse, Request, Response
from mcpkit.jsonrpc.peer import Peer


class _Work:
    """A task, as the peer wants to cancel it."""

    __slots__ = ("task",)

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task

    def cancel(self, reason: str | None) -> None:
        log.debug("the server withdrew a question: %s", reason)
        self.task.cancel()


class Questions:
    """What the server has asked and not yet heard an answer to.

    ``answering`` hears when the first of several begins, and when the last has ended.
    """

    def __init__(
        self,
        answers: Answers,
        send: Callable[[Response | ErrorResponse], Awaitable[None]],
        most: int,
        answering: Callable[[bool], None] = lambda begins: None,
    ) -> None:
        self._answers = answers
        self._send = send
        self._most = most
        self._answering = answering
        self._peer = Peer()
        self._background = Background()

    def asked(self, request: Request) -> None:
        """Answer it, in time."""
        if isinstance(request, BadRequest):
            self._background.start(self._deliver(ErrorResponse(request.id, request.error)), "refuse a request")
            return
        if self._peer.in_flight >= self._most:
            busy = ErrorResponse(request.id, InternalError("too many questions at once"))
            self._background.start(self._deliver(busy), "refuse a question")
            return
        task = self._background.start(self._work(request), f"answer {request.method[:40]}")
        try:
            self._peer.begin(request.id, _Work(task))
        except InvalidRequest:
            task.cancel()
            log.warning("the server uses the id of a question that is not answered yet")
            return
        task.add_done_callback(lambda _: self._ended(request))
        if self._peer.in_flight == 1:
            self._answering(True)

    def cancelled(self, id: Any, reason: Any) -> None:
        """The server no longer wants to know."""
        self._peer.cancel(id, reason if isinstance(reason, str) else None)

    async def stop(self) -> None:
        """Answer nothing any more."""
        await self._background.stop()

    def _ended(self, request: Request) -> None:
        self._peer.end(request.id)
        if not self._peer.in_flight:
            self._answering(False)

    async def _work(self, request: Request) -> None:
        try:
            result = await self._answers.answer(request.method, request.params)
            await self._deliver(Response(request.id, result))
        except Exception as error:  # a handler may fail in any way; the server must not wait for ever
            await self._deliver(ErrorResponse(request.id, refusal(error)))

    async def _deliver(self, answer: Response | ErrorResponse) -> None:
        try:
            await self._send(answer)
        except ClientError as error:
            log.warning("an answer could not be sent: %s", error)

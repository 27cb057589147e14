"""The server's own requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client.answers import Answers, Elicitation
from mcpkit.client.errors import ConnectionLost
from mcpkit.client.questions import Questions
from mcpkit.jsonrpc.messages import ErrorResponse, Request, Response
from tests.client.scripted import soon

FORM = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}


class Sent:
    """Collects what is answered."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    async def __call__(self, message: Response | ErrorResponse) -> None:
        self.queue.put_nowait(message)

    async def next(self) -> Any:
        return await soon(self.queue.get())


async def test_answers_go_back_under_the_same_id() -> None:
    """RPC-06: with its type."""
    sent = Sent()
    questions = Questions(Answers(), sent, 10)
    questions.asked(Request("a", "ping", {}))
    assert await sent.next() == Response("a", {})
    questions.asked(Request(1, "ping", {}))
    assert await sent.next() == Response(1, {})
    questions.asked(Request(2, "nonsense", {}))
    refused = await sent.next()
    assert (refused.id, refused.error.code) == (2, -32601)


async def test_a_failing_handler_is_an_answer_too() -> None:
    """The server must not wait for ever."""

    def broken(_: Elicitation) -> bool:
        raise ValueError("private")

    sent = Sent()
    Questions(Answers(elicitation=broken), sent, 10).asked(Request(1, "elicitation/create", FORM))
    refused = await sent.next()
    assert (refused.error.code, "private" in refused.error.message) == (-32603, False)


async def test_the_server_may_withdraw_a_question() -> None:
    """CANC-01, CANC-03: no answer then; an unknown or oddly typed id changes nothing (CANC-08)."""
    asked, ended, sent = asyncio.Event(), asyncio.Event(), Sent()

    async def slow(_: Elicitation) -> bool:
        asked.set()
        try:
            return await asyncio.Event().wait()
        finally:
            ended.set()

    questions = Questions(Answers(elicitation=slow), sent, 10)
    questions.asked(Request(1, "elicitation/create", FORM))
    await soon(asked.wait())
    for other in ("1", True, 1.0, None, [1], 2):
        questions.cancelled(other, "no")
    assert not ended.is_set()
    questions.cancelled(1, 5)
    await soon(ended.wait())
    assert sent.queue.empty()


async def test_few_at_once() -> None:
    """AVAIL-03's mirror: a server that asks without end gets refusals, and ids in flight are not used twice."""
    sent = Sent()
    questions = Questions(Answers(elicitation=lambda _: asyncio.Event().wait()), sent, 2)
    questions.asked(Request(1, "elicitation/create", FORM))
    questions.asked(Request(1, "elicitation/create", FORM))
    questions.asked(Request(2, "elicitation/create", FORM))
    questions.asked(Request(3, "elicitation/create", FORM))
    refused = await sent.next()
    assert (refused.id, refused.error.code) == (3, -32603)
    await soon(questions.stop())
    assert sent.queue.empty()


async def test_an_answer_that_can_not_be_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that breaks meanwhile is no fault of the handler's."""

    async def broken(_: Response | ErrorResponse) -> None:
        raise ConnectionLost("gone")

    questions = Questions(Answers(), broken, 10)
    questions.asked(Request(1, "ping", {}))
    await soon(questions._background.finish(5))
    assert "could not be sent: gone" in caplog.text

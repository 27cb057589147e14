"""The small parts of a pipe: a question's future, the gathering of a batch's answers (BAT-05, STDIO-35)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpkit.jsonrpc.peer import Peer
from mcpkit.protocol.exchange import UNKNOWN_CLIENT
from mcpkit.protocol.revisions.registry import HANDSHAKES
from mcpkit.transports.pipe_call import BatchReply, Call, PipeSession
from tests.exchanges import Remembered, exchange


class Outlet:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def write(self, message: bytes) -> None:
        self.messages.append(json.loads(message))

    async def drained(self) -> None:
        """At once."""


def test_a_batch_is_answered_when_all_is_there() -> None:
    """BAT-05: in the order in which answers came; nothing at all when none was due."""
    sent: list[bytes | None] = []
    gathered = BatchReply(sent.append)
    first, second, third = gathered.expect(), gathered.expect(), gathered.expect()
    second(b"2")
    third(None)
    gathered(None)
    assert sent == []
    first(b"1")
    assert sent == [b"[2,1]"]
    BatchReply(sent.append)(None)
    assert sent[1:] == [None]


async def test_a_call_ends_once() -> None:
    """STDIO-35: a cancelled call gets no answer, and a second cancel changes nothing."""
    peer, outlet, sent = Peer(), Outlet(), list[bytes | None]()
    call = Call(exchange("m"), peer, outlet, sent.append)
    peer.begin(1, call)
    call.cancel("bored")
    call.cancel(None)
    call.answer(b"{}")
    await call.notify("n", {})
    assert (sent, outlet.messages, peer.in_flight) == ([None], [], 0)


async def test_nothing_is_sent_past_a_slow_reader() -> None:
    """AVAIL-04: who notifies waits until it has read; who only offers would not."""
    outlet = Outlet()
    assert not Call(exchange("m"), Peer(), outlet, lambda data: None).offer(b"{}")
    assert not outlet.messages


async def test_a_question_taken_back_is_forgotten() -> None:
    """CANC-01: the client is told, and nothing is kept for an answer that may never come."""
    peer, outlet = Peer(), Outlet()
    asking = exchange("m", revision=HANDSHAKES[0], session=Remembered())
    task = asyncio.create_task(Call(asking, peer, outlet, lambda data: None).request("roots/list", {}))
    await asyncio.sleep(0)
    assert peer.pending == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert peer.pending == 0
    assert [message["method"] for message in outlet.messages] == ["roots/list", "notifications/cancelled"]


def test_a_session_has_an_unguessable_id() -> None:
    """SESS-02."""
    ids = {PipeSession(HANDSHAKES[0], UNKNOWN_CLIENT).id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id) == 32 for id in ids)

"""Calls beyond the limit wait their turn, and streams do not count (AVAIL-04, SUB-05, real-clients)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.protocol.exchange import Exchange
from mcpkit.transports import in_flight
from tests.pipes import Desk, Pipe, code, enveloped, modern, notification, said

CANCELLED = "notifications/cancelled"


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_calls_beyond_the_limit_wait_their_turn(desk: Desk) -> None:
    """AVAIL-04, real-clients: whatever is piped in is answered; what waits can be cancelled."""
    pipe = Pipe(desk.kernel, max_session_calls=2)
    await pipe.say(*(modern(id, "wait") for id in range(5)), notification(CANCELLED, {"requestId": 3}))
    await pipe.hear(2)
    for id, begun, running in ((0, 1, {1, 2}), (1, 1, {2, 4}), (2, 0, {4}), (4, 0, set[int]())):
        desk.gates.pop(id).set_result(id)
        assert said((await pipe.hear())[0]) == (id, id)
        await pipe.hear(begun)  # the first word of the next one
        assert desk.gates.keys() == running
    pipe.duplex.close()
    await pipe.over()


async def test_too_many_waiting_calls_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """AVAIL-04."""
    monkeypatch.setattr(in_flight, "MAX_WAITING", 1)
    pipe = Pipe(desk.kernel, max_session_calls=1)
    await pipe.say(modern(1, "wait"), modern(2, "wait"), modern(3, "wait"))
    _, refused = await pipe.hear(2)
    assert code(refused) == (3, -32603)
    pipe.duplex.close()
    await pipe.over()


async def test_streams_do_not_use_up_the_calls(desk: Desk) -> None:
    """SUB-05, AVAIL-04: an open stream waits for ever and must not make calls wait with it."""

    async def listen(exchange: Exchange) -> Any:
        await asyncio.get_running_loop().create_future()

    desk.kernel.register("subscriptions/listen", listen)
    pipe = Pipe(desk.kernel, max_session_calls=1)
    await pipe.say(enveloped("s", "subscriptions/listen"), modern(1, "wait"))
    await pipe.hear()
    desk.gates[1].set_result("served")
    assert said((await pipe.hear())[0]) == (1, "served")
    pipe.duplex.close()
    await pipe.over()


async def test_at_the_end_what_waits_is_never_served(desk: Desk) -> None:
    """STDIO-41: also when the cancel of what was in flight makes room."""
    pipe = Pipe(desk.kernel, max_session_calls=1)
    await pipe.say(modern(1, "wait"), modern(2, "wait"))
    await pipe.hear()
    pipe.duplex.close()
    await pipe.over()
    assert await pipe.quiet() == []
    assert [exchange.id for exchange in desk.seen] == [1]

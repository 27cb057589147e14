"""Calls beyond the limit wait their turn, and streams do not count (AVAIL-04, SUB-05, real-clients)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.protocol.exchange import Exchange
from mcpkit.transports import in_flight
from tests.pipes import Desk, Pipe, call, code, enveloped, initialize, modern, notification, said

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
    assert "send it again when some have been answered" in refused["error"]["message"]
    pipe.duplex.close()
    await pipe.over()


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("filling", "most"),
    [("x" * (MIB // 4), 3), ([{"a": 1}] * 1_000, 3), ("x" * 100, 1_000)],
    ids=["text", "objects", "small"],
)
async def test_bytes_that_wait_are_bounded(desk: Desk, filling: Any, most: int) -> None:
    """AVAIL-04: by what they take in memory; who is refused is told why, and who is served gives the room back."""
    pipe = Pipe(desk.kernel, max_session_calls=1, max_pending_bytes=MIB)
    for first in (0, 10_000):
        await pipe.say(*(modern(first + id, "wait", filling=filling) for id in range(most + 3)))
        heard = await pipe.quiet()
        refused = [answer for answer in heard if "error" in answer]
        served = most + 3 - len(refused)
        assert len(desk.gates) == 1
        assert 2 <= served <= most + 1
        for answer in refused:
            assert answer["error"]["code"] == -32603
            assert "1048576 bytes of requests that wait on this pipe" in answer["error"]["message"]
            assert "MCP_MAX_PENDING_BYTES" in answer["error"]["message"]
        for _ in range(served):
            [(id, gate)] = desk.gates.items()
            del desk.gates[id]
            gate.set_result("served")
            heard = await pipe.quiet()
            assert (id, "served") in [said(answer) for answer in heard if "result" in answer]
    pipe.duplex.close()
    await pipe.over()


async def test_one_line_that_is_heavier_than_all_may_be_waits_alone(desk: Desk) -> None:
    pipe = Pipe(desk.kernel, max_session_calls=1, max_pending_bytes=MIB, max_argument_bytes=4 * MIB)
    await pipe.say(modern(1, "wait"), modern(2, "wait", filling="x" * 2 * MIB), modern(3, "wait"))
    _, refused = await pipe.hear(2)
    assert code(refused) == (3, -32603)
    desk.gates.pop(1).set_result(1)
    await pipe.hear(2)
    desk.gates.pop(2).set_result(2)
    assert said((await pipe.hear())[0]) == (2, 2)
    pipe.duplex.close()
    await pipe.over()


async def test_a_batch_counts_once(desk: Desk) -> None:
    """A line of many calls: whichever of them wait hold it; where it is too much each is told."""
    pipe = Pipe(desk.kernel, max_session_calls=1, max_pending_bytes=MIB)
    await pipe.open("2025-03-26")
    calls = [call(id, "wait", filling="x" * 10_000) for id in range(60)]
    await pipe.say(calls)
    assert [answer for answer in await pipe.quiet() if isinstance(answer, list)] == []
    await pipe.say([{**each, "id": each["id"] + 100} for each in calls])
    [refused] = [answer for answer in await pipe.quiet() if isinstance(answer, list)]
    assert {code(answer) for answer in refused} == {(id + 100, -32603) for id in range(60)}
    pipe.duplex.close()
    await pipe.over()


async def test_what_comes_during_initialize_is_bounded_too(desk: Desk) -> None:
    """INIT-14: it is held back until that is answered."""
    gate = asyncio.get_running_loop().create_future()

    async def slowly(exchange: Exchange, call_next: Any) -> Any:
        await gate
        return await call_next(exchange)

    desk.kernel.around("initialize", slowly)
    pipe = Pipe(desk.kernel, max_pending_bytes=MIB)
    await pipe.say(initialize(), *(call(id, filling="x" * (MIB // 4)) for id in (1, 2, 3, 4, 5)))
    refused = await pipe.quiet()
    assert [code(answer) for answer in refused] == [(4, -32603), (5, -32603)]
    gate.set_result(None)
    answers = await pipe.hear(4)
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]
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

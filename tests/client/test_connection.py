"""One conversation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client.answers import Answers
from mcpkit.client.connection import Connection
from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, Timeout
from mcpkit.client.identity import Identity
from mcpkit.client.limits import Deadlines, Patience
from mcpkit.client.notices import Progress
from mcpkit.client.results import ServerDescription
from mcpkit.client.transports.transport import Call
from mcpkit.client.underway import Manner
from mcpkit.jsonrpc.messages import Notification, Response
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, REVISIONS
from mcpkit.protocol.revisions.revision import Revision
from tests.client.scripted import FakeTransport, soon

STAMP = {"io.modelcontextprotocol/protocolVersion": NEWEST.name}


class Spoken:
    """An open connection, and what it told."""

    def __init__(self, answer: Any, revision: Revision | None = NEWEST, patience: Patience | None = None) -> None:
        self.told: list[Notification] = []
        self.transport = FakeTransport(answer)
        self.connection = Connection(
            self.transport,
            Identity(),
            Answers(roots=["file:///r"]),
            patience or Patience(),
            lambda _, notification: self.told.append(notification),
        )
        self.revision = revision

    async def open(self) -> Connection:
        await soon(self.connection.open())
        if self.revision is not None:
            stamp = STAMP if self.revision is NEWEST else {}
            self.connection.agreed(self.revision, ServerDescription(), dict(stamp))
        return self.connection


async def echo(call: Call) -> dict[str, Any]:
    return {"params": call.params}


async def never(call: Call) -> dict[str, Any]:
    return await asyncio.Event().wait()  # type: ignore[return-value]


async def test_requests_are_stamped() -> None:
    """META-10, RPC-19: every request of the newest revision; the caller's own keys beside; nothing before it."""
    spoken = Spoken(echo)
    connection = await spoken.open()
    assert await soon(connection.request("m", {}, Manner())) == {"params": {"_meta": STAMP}}
    manner = Manner(meta={"traceparent": "t"}, progress=lambda _: None)
    answer = await soon(connection.request("m", {"a": 1, "_meta": {"own": 1}}, manner))
    assert answer["params"] == {"a": 1, "_meta": {**STAMP, "own": 1, "traceparent": "t", "progressToken": 2}}
    await soon(connection.notify("n", {}))
    assert spoken.transport.sent == [Notification("n", {"_meta": STAMP})]
    await connection.close()


async def test_requests_of_the_handshake_era_are_not() -> None:
    """META-24's mirror: nothing is added that an old server has not heard of."""
    spoken = Spoken(echo, NEWEST_HANDSHAKE)
    connection = await spoken.open()
    assert (await soon(connection.request("m", {}, Manner())))["params"] == {}
    await connection.close()


async def test_results_are_lifted_and_params_lowered() -> None:
    """VER-05: the caller reads and writes the newest names whatever is spoken."""
    task = {"task": {"taskId": "t", "status": "working", "ttl": 5, "pollInterval": 7}}

    async def answer(call: Call) -> dict[str, Any]:
        return task if call.method == "tools/call" else {"params": call.params}

    spoken = Spoken(answer, NEWEST_HANDSHAKE)
    connection = await spoken.open()
    lifted = await soon(connection.request("tools/call", {}, Manner()))
    assert (lifted["resultType"], lifted["taskId"], lifted["ttlMs"], lifted["pollIntervalMs"]) == ("task", "t", 5, 7)
    oldest = list(REVISIONS.values())[-1]
    connection.agreed(oldest, ServerDescription(), {})
    params = {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {}, "context": {"arguments": {}}}
    sent = await soon(connection.request("completion/complete", params, Manner()))
    assert "context" not in sent["params"], "COMP-06"
    await connection.close()


async def test_nothing_is_asked_before_the_agreement() -> None:
    """INIT-04."""
    spoken = Spoken(echo, None)
    connection = await spoken.open()
    with pytest.raises(ConnectionLost):
        await soon(connection.request("m", {}, Manner()))
    assert await soon(connection.exchange("initialize", {"a": 1}, 5, cancellable=False)) == {"params": {"a": 1}}
    assert not spoken.transport.calls[-1].cancellable
    await connection.close()


async def test_silence_is_not_waited_for() -> None:
    """TIME-01: a local error, and the transport's call is cancelled."""
    cancelled = asyncio.Event()

    async def silent(call: Call) -> dict[str, Any]:
        try:
            return await never(call)
        finally:
            cancelled.set()

    connection = await Spoken(silent).open()
    with pytest.raises(Timeout, match="m was not answered"):
        await soon(connection.request("m", {}, Manner(silence=0.01)))
    assert cancelled.is_set()
    with pytest.raises(Timeout):
        await soon(connection.request("m", {}, Manner(silence=None, whole=0.01)))
    with pytest.raises(Timeout):
        await soon(connection.exchange("initialize", {}, 0.01, cancellable=False))
    await connection.close()


async def test_progress_moves_the_deadline_within_the_whole() -> None:
    """TIME-02, PROG-02: each report that goes forward; never beyond the absolute limit."""
    moved: list[float] = []
    heard: list[Progress] = []

    async def busy(call: Call) -> dict[str, Any]:
        token = call.params["_meta"]["progressToken"]
        for value in (1, 1, 0, 2):
            spoken.transport.tell("notifications/progress", {"progressToken": token, "progress": value})
        for stranger in (token + 1, str(token), None, True, [1]):
            spoken.transport.tell("notifications/progress", {"progressToken": stranger, "progress": 99})
        moved.append(1.0)
        return {}

    spoken = Spoken(busy)
    connection = await spoken.open()
    assert await soon(connection.request("m", {}, Manner(progress=heard.append))) == {}
    assert [progress.progress for progress in heard] == [1, 2]

    async def endless(call: Call) -> dict[str, Any]:
        token, value = call.params["_meta"]["progressToken"], 0
        while True:
            value += 1
            spoken.transport.tell("notifications/progress", {"progressToken": token, "progress": value})
            await asyncio.sleep(0.001)

    spoken.transport._answer = endless
    with pytest.raises(Timeout):
        await soon(connection.request("m", {}, Manner(silence=0.05, whole=0.1, progress=heard.append)))
    assert len(heard) > 3
    await connection.close()


async def test_progress_is_heard_before_the_result() -> None:
    """A handler that takes its time is awaited; one that reports after the end is not heard (PROG-03)."""
    order: list[str] = []

    async def slow(progress: Progress) -> None:
        await asyncio.sleep(0)
        order.append(f"progress {progress.progress}")

    async def busy(call: Call) -> dict[str, Any]:
        spoken.transport.tell("notifications/progress", {"progressToken": 1, "progress": 1})
        return {}

    spoken = Spoken(busy)
    connection = await spoken.open()
    await soon(connection.request("m", {}, Manner(progress=slow)))
    order.append("result")
    spoken.transport.tell("notifications/progress", {"progressToken": 1, "progress": 2})
    await soon(connection.delivery.drained(5))
    assert order == ["progress 1", "result"]
    await connection.close()


async def test_the_server_may_ask_where_its_revision_lets_it() -> None:
    """RPC-17, RPC-18: in the handshake era; in the newest its requests are dropped, unanswered."""
    spoken = Spoken(echo, NEWEST_HANDSHAKE)
    connection = await spoken.open()
    spoken.transport.ask("q", "roots/list", {})
    assert await spoken.transport.next_sent() == Response("q", {"roots": [{"uri": "file:///r"}]})
    connection.agreed(NEWEST, ServerDescription(), dict(STAMP))
    spoken.transport.ask("q2", "roots/list", {})
    await asyncio.sleep(0)
    assert spoken.transport.sent == []
    await connection.close()


async def test_notifications_are_told() -> None:
    """All but progress; a cancelled question too, since it may end a listen stream (AMB-01)."""
    spoken = Spoken(echo)
    await spoken.open()
    spoken.transport.tell("notifications/tools/list_changed", {})
    spoken.transport.tell("notifications/cancelled", {"requestId": [1]})
    assert [note.method for note in spoken.told] == ["notifications/tools/list_changed", "notifications/cancelled"]
    await spoken.connection.close()


async def test_a_loss_is_told_once() -> None:
    """And remembered."""
    spoken, told = Spoken(echo), list[ClientError | None]()
    connection = await spoken.open()
    connection.on_lost = lambda lost: told.append(lost.lost)
    error = ConnectionLost("gone")
    spoken.transport.lost(error)
    spoken.transport.lost(ProtocolViolation("again"))
    assert told == [error]
    await connection.close()
    assert connection.lost is error


async def test_retiring_lets_calls_end() -> None:
    """A successor does not cut off what is underway; what takes too long is cut off."""
    go = asyncio.Event()

    async def waits(call: Call) -> dict[str, Any]:
        await go.wait()
        return {}

    spoken = Spoken(waits)
    connection = await spoken.open()
    call = asyncio.create_task(connection.request("m", {}, Manner()))
    await asyncio.sleep(0)
    retiring = asyncio.create_task(connection.retire())
    await asyncio.sleep(0)
    assert spoken.transport.close_count == 0
    go.set()
    await soon(call)
    await soon(retiring)
    assert spoken.transport.close_count == 1
    hurried = Spoken(never, patience=Patience(deadlines=Deadlines(handshake=0.01)))
    connection = await hurried.open()
    call = asyncio.create_task(connection.request("m", {}, Manner()))
    await asyncio.sleep(0)
    await soon(connection.retire())
    assert hurried.transport.close_count == 1
    call.cancel()


async def test_opening_and_sending_are_bounded() -> None:
    """Every wait has a deadline."""

    class Stuck(FakeTransport):
        async def open(self, receive: Any, lost: Any) -> None:
            await asyncio.Event().wait()

        async def send(self, message: Any) -> None:
            await asyncio.Event().wait()

    hurry = Patience(deadlines=Deadlines(connect=0.01, handshake=0.01))
    connection = Connection(Stuck(echo), Identity(), Answers(), hurry, lambda *_: None)
    with pytest.raises(Timeout):
        await soon(connection.open())
    with pytest.raises(Timeout):
        await soon(connection.notify("n", {}))

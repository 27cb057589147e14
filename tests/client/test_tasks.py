"""Work that outlives its call."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.answers import Answers
from mcpkit.client.errors import ClientError, ProtocolViolation, ServerRefused, Timeout, Unsupported
from mcpkit.client.tasks import TaskHandle, _interval
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from tests.client.scripted import soon

STARTED = {"resultType": "task", "taskId": "t1", "status": "working", "pollIntervalMs": 1}
TEXT = {"content": [{"type": "text", "text": "fine"}]}
ASKS = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {"type": "object"}}}


class Server:
    """A task that goes through its states, one each time it is asked."""

    def __init__(self, *states: dict[str, Any], result: Any = None) -> None:
        self.states = list(states)
        self.result = result
        self.asked: list[tuple[str, dict[str, Any], bool]] = []

    async def __call__(self, method: str, params: dict[str, Any], *, blocking: bool = False) -> dict[str, Any]:
        self.asked.append((method, params, blocking))
        if method == "tasks/get":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return {"taskId": "t1", "pollIntervalMs": 1, **state}
        return self.result if method == "tasks/result" else {"resultType": "complete"}

    def handle(self, methods: frozenset[str] = NEWEST.requests, **handlers: Any) -> TaskHandle:
        return TaskHandle(self, methods, Answers(**handlers), dict(STARTED))

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.asked]


async def test_polled_to_its_end() -> None:
    """TASKE-06, TASKE-18: the result is inside; asked for once, then known."""
    server = Server({"status": "working"}, {"status": "completed", "result": TEXT})
    handle = server.handle()
    assert (handle.task_id, handle.state.done) == ("t1", False)
    assert (await soon(handle.result())).text == "fine"
    assert (await soon(handle.result())).text == "fine"
    assert (await soon(handle.get())).done
    assert server.methods() == ["tasks/get", "tasks/get"]


async def test_questions_of_a_task() -> None:
    """TASKE-08, TASKE-09, TASKE-18: each key once, though the server shows it until it has noticed."""
    asked = []

    def answer(elicitation: Any) -> dict[str, Any]:
        asked.append(elicitation)
        return {}

    waits = {"status": "input_required", "inputRequests": {"a": ASKS}}
    more = {"status": "input_required", "inputRequests": {"a": ASKS, "b": ASKS}}
    server = Server(waits, waits, more, {"status": "completed", "result": TEXT})
    assert (await soon(server.handle(elicitation=answer).result())).text == "fine"
    assert len(asked) == 2
    updates = [params["inputResponses"] for method, params, _ in server.asked if method == "tasks/update"]
    assert [list(update) for update in updates] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ({"status": "failed", "error": {"code": -1, "message": "no", "data": 5}}, ServerRefused, r"no \(-1\)"),
        ({"status": "failed", "statusMessage": "broke"}, ServerRefused, "broke"),
        ({"status": "failed", "error": "odd"}, ServerRefused, "the task failed"),
        ({"status": "cancelled"}, ClientError, "cancelled"),
        ({"status": "completed"}, ProtocolViolation, "no result"),
    ],
)
async def test_other_ends(state: dict[str, Any], error: type[Exception], words: str) -> None:
    """TASKE-06, TASKE-07."""
    with pytest.raises(error, match=words):
        await soon(Server(state).handle().result())


async def test_a_tools_own_error_is_a_result() -> None:
    """TASKE-07."""
    result = await soon(Server({"status": "completed", "result": {**TEXT, "isError": True}}).handle().result())
    assert result.is_error


async def test_the_wait_is_bounded_and_the_task_goes_on() -> None:
    """AVAIL-01; TASKE-19: giving up waiting is no cancellation."""
    server = Server({"status": "working"})
    handle = server.handle()
    with pytest.raises(Timeout, match="ask again later"):
        await soon(handle.result(0.05))
    assert "tasks/cancel" not in server.methods()
    server.states = [{"status": "completed", "result": TEXT}]
    assert (await soon(handle.result(5))).text == "fine"


async def test_cancelling() -> None:
    """TASKE-10; a call that was answered at once has nothing to cancel."""
    server = Server({"status": "working"})
    await soon(server.handle().cancel())
    assert server.asked == [("tasks/cancel", {"taskId": "t1"}, False)]
    done = TaskHandle.already(server, (await soon(Server({"status": "completed", "result": TEXT}).handle().result())))
    await soon(done.cancel())
    assert len(server.asked) == 1
    assert (await soon(done.result())).text == "fine"


async def test_the_older_generation() -> None:
    """TASKD-05, TASKD-09: the result is fetched apart, by a request that may take as long as the task; it is asked
    for early where the task wants input, so that the server has a way to ask."""
    server = Server({"status": "working"}, {"status": "completed"}, result=TEXT)
    assert (await soon(server.handle(NEWEST_HANDSHAKE.requests).result())).text == "fine"
    assert server.asked[-1] == ("tasks/result", {"taskId": "t1"}, True)
    server = Server({"status": "input_required"}, result=TEXT)
    assert (await soon(server.handle(NEWEST_HANDSHAKE.requests).result())).text == "fine"
    assert server.methods() == ["tasks/get", "tasks/result"]
    with pytest.raises(Unsupported):
        await soon(server.handle(NEWEST_HANDSHAKE.requests).update({}))


@pytest.mark.parametrize(
    ("wanted", "seconds"), [(500, 0.5), (0, 0.02), (-5, 0.02), (10**9, 60.0), (None, 1.0), ("x", 1.0), (True, 1.0)]
)
def test_the_pace_of_polling(wanted: Any, seconds: float) -> None:
    """TASKE-18: the server's, within reason."""
    assert _interval(wanted) == seconds

"""Tasks through the HTTP endpoint: what the transport adds, its streams, headers and statuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.extensions.tasks import Tasks
from mcpkit.features.context import Context
from mcpkit.server import Server
from mcpkit.sessions.memory import MemoryStore
from mcpkit.settings import Settings
from mcpkit.transports.gate import Gate
from mcpkit.transports.streamable_http import McpEndpoint
from tests.extensions.calling import SECONDS, TASKS, accepted, text
from tests.transports.asgi_client import META, Wire, modern, request

DECLARED: dict[str, Any] = {
    f"{META}clientCapabilities": {"elicitation": {}, "extensions": {TASKS: {}}},
}
RELATED = f"{META}related-task"


@pytest.fixture
def wire() -> Wire:
    server = Server("unit")
    server.install(Tasks())

    @server.tool(task="optional")
    async def greet(ctx: Context) -> str:
        await ctx.report_progress(1, 2, "asking")
        return f"Hello, {(await ctx.elicit('Name?')).data}"

    settings = Settings()
    return Wire(McpEndpoint(server.kernel, MemoryStore(), Gate(settings), settings))


async def test_the_core_asks_on_the_stream_of_tasks_result(wire: Wire) -> None:
    """TASKD-09: a request on that stream, whose answer comes as another POST."""
    session = await wire.open(capabilities={"elicitation": {}})
    created = await session.ask(request("tools/call", {"name": "greet", "task": {}}))
    id = created.json["result"]["task"]["taskId"]
    waiting = session.post(request("tasks/result", {"taskId": id}, id=2))
    assert not (await waiting.event()).data  # priming
    while (question := await waiting.message()).get("method") != "elicitation/create":
        assert question["method"] == "notifications/tasks/status"
    assert question["params"]["_meta"][RELATED] == {"taskId": id}
    answer = {"jsonrpc": "2.0", "id": question["id"], "result": accepted(value="Ada")}
    assert (await session.ask(answer)).status == 202
    *said, result = await waiting.messages()
    assert text(result["result"]) == "Hello, Ada"
    assert said[-1]["params"]["status"] == "completed"
    assert (await session.ask(request("tasks/get", {"taskId": id}, id=3))).json["result"]["status"] == "completed"


async def test_a_client_that_hangs_up_may_wait_again(wire: Wire) -> None:
    """The task goes on; the question is asked where the client waits now."""
    session = await wire.open(capabilities={"elicitation": {}})
    created = await session.ask(request("tools/call", {"name": "greet", "task": {}}))
    id = created.json["result"]["task"]["taskId"]
    first = session.post(request("tasks/result", {"taskId": id}, id=2))
    await first.until(lambda: b"elicitation/create" in first.body)
    await session.ask({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}})
    await first.done()
    second = session.post(request("tasks/result", {"taskId": id}, id=3))
    assert not (await second.event()).data  # priming
    while (question := await second.message()).get("method") != "elicitation/create":
        pass
    await session.ask({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}})
    assert text((await second.messages())[-1]["result"]) == "Hello, None"


async def test_a_task_is_not_cancelled_like_a_request(wire: Wire) -> None:
    """CANC-04, TASKD-15: its request was answered long ago; tasks/cancel is the way."""
    session = await wire.open(capabilities={"elicitation": {}})
    created = await session.ask(request("tools/call", {"name": "greet", "task": {}}, id=9))
    id = created.json["result"]["task"]["taskId"]
    gone = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
    assert (await session.ask(gone)).status == 202
    status = (await session.ask(request("tasks/get", {"taskId": id}, id=10))).json["result"]["status"]
    assert status in {"working", "input_required"}
    ended = await session.ask(request("tasks/cancel", {"taskId": id}, id=11))
    assert ended.json["result"]["status"] == "cancelled"


async def test_the_extension_has_its_headers_and_statuses(wire: Wire) -> None:
    """TASKE-12, TASKE-16: the task's id is mirrored; 400 for what is missing."""
    message, headers = modern("tools/call", {"name": "greet"}, **DECLARED)
    id = (await wire.ask(message, headers)).json["result"]["taskId"]
    message, headers = modern("tasks/get", {"taskId": id}, **DECLARED)
    assert (await wire.ask(message, headers)).json["error"]["code"] == -32020
    got = await wire.ask(message, {**headers, "mcp-name": id})
    assert (got.status, got.json["result"]["taskId"]) == (200, id)
    other = await wire.ask(message, {**headers, "mcp-name": "other"})
    assert (other.status, other.json["error"]["code"]) == (400, -32020)
    message, headers = modern("tasks/get", {"taskId": id})
    undeclared = await wire.ask(message, {**headers, "mcp-name": id})
    assert (undeclared.status, undeclared.json["error"]["code"]) == (400, -32021)


async def test_a_stream_tells_of_a_task(wire: Wire) -> None:
    """TASKE-14."""
    message, headers = modern("tools/call", {"name": "greet"}, **DECLARED)
    id = (await wire.ask(message, headers)).json["result"]["taskId"]
    listen, headers = modern("subscriptions/listen", {"notifications": {"taskIds": [id]}}, id=7, **DECLARED)
    stream = wire.post(listen, headers)
    assert (await stream.message())["params"]["notifications"] == {"taskIds": [id]}
    message, headers = modern("tasks/cancel", {"taskId": id}, **DECLARED)
    assert (await wire.ask(message, {**headers, "mcp-name": id})).status == 200
    async with asyncio.timeout(SECONDS):
        while (told := await stream.message())["params"]["status"] != "cancelled":
            assert told["method"] == "notifications/tasks"
    stream.disconnect()
    await stream.done()

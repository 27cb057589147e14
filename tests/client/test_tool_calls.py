"""Listing and calling tools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client import TASKS_EXTENSION, MCPClient
from mcpkit.client.errors import (
    ConnectionLost,
    InputUnavailable,
    ProtocolViolation,
    ServerRefused,
    Timeout,
    ToolFailed,
)
from mcpkit.jsonrpc.errors import RpcError
from tests.client.scripted import HANDSHAKE, HASTE, MODERN, FakeTransport, answering, soon

TEXT = {"content": [{"type": "text", "text": "fine"}]}
ANNOTATED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


def listed(**members: Any) -> dict[str, Any]:
    return {"tools": [{"name": "t", "inputSchema": {"type": "object"}, **members}]}


async def test_a_tools_own_error() -> None:
    """TOOL-24, TOOL-25: raised with its text, or handed on for a model to read."""
    rows = {"tools/call": lambda _: {"content": [{"type": "text", "text": "Division by zero"}], "isError": True}}
    async with MCPClient(FakeTransport(answering(rows))) as client:
        with pytest.raises(ToolFailed, match="^Division by zero$") as failed:  # noqa: RUF043 - nothing but that
            await soon(client.call_tool("divide"))
        assert failed.value.result.is_error
        result = await soon(client.call_tool("divide", raise_on_error=False))
        assert (result.is_error, result.text) == (True, "Division by zero")


async def test_arguments_in_headers() -> None:
    """XHDR-06: for a tool that is known, in the newest revision."""
    rows = {"tools/list": lambda _: listed(inputSchema=ANNOTATED), "tools/call": lambda _: TEXT}
    for mode, headers in ((MODERN, {"Mcp-Param-Region": "eu"}), (HANDSHAKE, {})):
        transport = FakeTransport(answering(rows, modern=mode == MODERN))
        async with MCPClient(transport, mode=mode) as client:
            await soon(client.call_tool("t", {"region": "eu"}))
            assert transport.calls[-1].headers == {}
            await soon(client.list_tools())
            await soon(client.call_tool("t", {"region": "eu"}))
            assert transport.calls[-1].headers == headers


async def test_a_mismatch_teaches() -> None:
    """XHDR-08: the list is read, past the cache, and the call made once more; a second mismatch stands."""
    mismatch = ServerRefused(RpcError(-32020, "Mcp-Param-Region is missing"), status=400)

    def call(params: dict[str, Any]) -> dict[str, Any]:
        if transport.calls[-1].headers != {"Mcp-Param-Region": "eu"}:
            raise mismatch
        return TEXT

    def lists(params: dict[str, Any]) -> dict[str, Any]:
        return {**listed(inputSchema=schemas.pop(0) if schemas else ANNOTATED), "ttlMs": 60_000}

    schemas = [{"type": "object"}, ANNOTATED]
    transport = FakeTransport(answering({"tools/list": lists, "tools/call": call}))
    async with MCPClient(transport) as client:
        await soon(client.list_tools())
        assert (await soon(client.call_tool("t", {"region": "eu"}))).text == "fine"
        assert transport.methods() == ["server/discover", "tools/list", "tools/call", "tools/list", "tools/call"]
        with pytest.raises(ServerRefused):
            await soon(client.call_tool("t", {"region": "us"}))


@pytest.mark.parametrize(("hint", "calls"), [({}, 1), ({"readOnlyHint": True}, 2), ({"idempotentHint": True}, 2)])
async def test_what_is_called_again_after_a_loss(hint: dict[str, Any], calls: int) -> None:
    """SHM-09: only what the server itself says may be."""
    made: list[FakeTransport] = []
    fails = [ConnectionLost("cut")]

    def call(params: dict[str, Any]) -> dict[str, Any]:
        if fails:
            raise fails.pop()
        return TEXT

    def make() -> FakeTransport:
        made.append(FakeTransport(answering({"tools/list": lambda _: listed(annotations=hint), "tools/call": call})))
        return made[-1]

    async with MCPClient(make, patience=HASTE) as client:
        await soon(client.list_tools())
        if calls == 1:
            with pytest.raises(ConnectionLost):
                await soon(client.call_tool("t"))
        else:
            assert (await soon(client.call_tool("t"))).text == "fine"
        assert sum(transport.methods().count("tools/call") for transport in made) == calls


async def test_questions_in_between() -> None:
    """TOOL-26, MRTR: answered by the handlers; without one the caller is told."""
    asked = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {"type": "object"}}}

    def call(params: dict[str, Any]) -> dict[str, Any]:
        if "inputResponses" in params:
            return TEXT
        return {"resultType": "input_required", "inputRequests": {"k": asked}, "requestState": "s"}

    async with MCPClient(FakeTransport(answering({"tools/call": call})), elicitation_handler=lambda _: {}) as client:
        assert (await soon(client.call_tool("t"))).text == "fine"
    async with MCPClient(FakeTransport(answering({"tools/call": call}))) as client:
        with pytest.raises(InputUnavailable):
            await soon(client.call_tool("t"))


async def test_output_is_checked_unless_not_wanted() -> None:
    """TOUT-02."""
    rows = {
        "tools/list": lambda _: listed(outputSchema={"type": "object", "required": ["n"]}),
        "tools/call": lambda _: {**TEXT, "structuredContent": {}},
    }
    async with MCPClient(FakeTransport(answering(rows))) as client:
        await soon(client.list_tools())
        with pytest.raises(ProtocolViolation):
            await soon(client.call_tool("t"))
    async with MCPClient(FakeTransport(answering(rows)), check_output=False) as client:
        await soon(client.list_tools())
        assert (await soon(client.call_tool("t"))).text == "fine"


def task_rows(*states: dict[str, Any], **more: Any) -> dict[str, Any]:
    queue = list(states)
    started = {"resultType": "task", "taskId": "t1", "status": "working", "pollIntervalMs": 1}

    def get(params: dict[str, Any]) -> dict[str, Any]:
        assert params["taskId"] == "t1"
        return {"taskId": "t1", "pollIntervalMs": 1, **queue.pop(0)}

    return {"tools/call": lambda _: started, "tasks/get": get, **more}


async def test_a_call_that_becomes_a_task_is_waited_for() -> None:
    """TASKE-06: the caller of a tool need not know."""
    transport = FakeTransport(answering(task_rows({"status": "working"}, {"status": "completed", "result": TEXT})))
    async with MCPClient(transport, extensions={TASKS_EXTENSION: {}}) as client:
        declared = transport.calls[0].params["_meta"]["io.modelcontextprotocol/clientCapabilities"]
        assert declared == {"extensions": {TASKS_EXTENSION: {}}}
        assert (await soon(client.call_tool("slow"))).text == "fine"
        assert transport.methods()[1:] == ["tools/call", "tasks/get", "tasks/get"]


async def test_a_task_may_be_kept_in_hand() -> None:
    """``start_tool`` returns at once; a server that answers at once is a task that is done."""
    transport = FakeTransport(answering(task_rows({"status": "completed", "result": TEXT})))
    async with MCPClient(transport, extensions={TASKS_EXTENSION: {}}) as client:
        handle = await soon(client.start_tool("slow"))
        assert (handle.task_id, handle.state.status) == ("t1", "working")
        assert (await soon(handle.result(5))).text == "fine"
    async with MCPClient(FakeTransport(answering({"tools/call": lambda _: TEXT}))) as client:
        handle = await soon(client.start_tool("quick"))
        assert (handle.task_id, handle.state.done) == ("", True)
        assert (await soon(handle.result())).text == "fine"


async def test_tasks_of_the_handshake_era() -> None:
    """TASKD-01 to TASKD-05: asked for by the client, wrapped, fetched apart; a tool that demands it gets it."""
    started = {"task": {"taskId": "t1", "status": "working", "ttl": None, "pollInterval": 1}}
    rows = {
        "tools/list": lambda _: listed(execution={"taskSupport": "required"}),
        "tools/call": lambda params: started if "task" in params else pytest.fail("not as a task"),
        "tasks/get": lambda _: {"taskId": "t1", "status": "completed", "pollInterval": 1},
        "tasks/result": lambda _: {**TEXT, "_meta": {"io.modelcontextprotocol/related-task": {"taskId": "t1"}}},
        "initialize": lambda _: {"protocolVersion": HANDSHAKE, "capabilities": {"tasks": {}}, "serverInfo": {}},
    }
    transport = FakeTransport(answering(rows, modern=False))
    async with MCPClient(transport, mode=HANDSHAKE) as client:
        handle = await soon(client.start_tool("t", ttl_ms=5000))
        assert transport.calls[-1].params["task"] == {"ttl": 5000}
        assert (await soon(handle.result(5))).text == "fine"
        await soon(client.list_tools())
        assert (await soon(client.call_tool("t"))).text == "fine"
        assert [call.params["task"] for call in transport.calls if call.method == "tools/call"][-1] == {}


async def test_a_call_has_its_own_deadline_and_may_be_cancelled() -> None:
    """AVAIL-01."""
    gone = asyncio.Event()

    async def slow(params: dict[str, Any]) -> dict[str, Any]:
        try:
            return await asyncio.Event().wait()  # type: ignore[return-value]
        finally:
            gone.set()

    async with MCPClient(FakeTransport(answering({"tools/call": slow}))) as client:
        with pytest.raises(Timeout):
            await soon(client.call_tool("slow", timeout=0.01))
        assert gone.is_set()
        gone.clear()
        task = asyncio.create_task(client.call_tool("slow"))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()
        assert gone.is_set()

"""Several clients of one server: nothing of the one is seen by the other."""

from __future__ import annotations

import asyncio
from typing import Any

from mcpkit.client import Change, LogMessage, MCPClient, Progress
from tests.interaction.conftest import Connect
from tests.interaction.requirements import proves
from tests.interaction.ways import Way

STRANGER = {"name": "claude-code", "version": "9", "title": "Somebody else"}
SHARED = ("memory", "http", "sse")
"""Over stdio every client has a process of its own."""


@proves("LOG-01", over=SHARED)
async def test_log_levels_are_a_sessions_own(connect: Connect) -> None:
    loud: list[LogMessage] = []
    quiet: list[LogMessage] = []
    async with (
        connect(log_handler=loud.append, log_level="debug") as one,
        connect(log_handler=quiet.append, log_level="error") as two,
    ):
        await asyncio.gather(*(client.call_tool("say", {"levels": ["info", "error"]}) for client in (one, two)))
    assert [message.level for message in loud] == ["info", "error"]
    assert [message.level for message in quiet] == ["error"]


@proves("PROG-03", over=SHARED)
async def test_progress_goes_to_the_caller(connect: Connect) -> None:
    heard: dict[int, list[Progress]] = {2: [], 3: []}
    async with connect() as one, connect() as two:
        await asyncio.gather(
            one.call_tool("count", {"to": 2}, progress_handler=heard[2].append),
            two.call_tool("count", {"to": 3}, progress_handler=heard[3].append),
        )
    assert [progress.total for progress in heard[2]] == [2, 2]
    assert [progress.total for progress in heard[3]] == [3, 3, 3]


@proves("RSRC-12", over=SHARED)
async def test_subscriptions_are_a_clients_own(connect: Connect) -> None:
    async with (
        connect() as one,
        connect() as two,
        one.listen(uris=["memo://text"]) as mine,
        two.listen(uris=["memo://blob"]) as theirs,
    ):
        for uri in ("memo://text", "memo://blob"):
            await two.call_tool("touch", {"uri": uri})
        assert await anext(mine) == Change("resource", "memo://text")
        assert await anext(theirs) == Change("resource", "memo://blob")


@proves("CANC-02", over=SHARED)
async def test_nobody_cancels_a_neighbours_call(connect: Connect) -> None:
    async with connect() as one, connect() as two:
        call = asyncio.create_task(one.call_tool("hold", {"name": "it"}))
        assert (await two.call_tool("fate", {"name": "it"})).text == "begun"
        for id in range(8):
            await two.notify("notifications/cancelled", {"requestId": id})
        await two.call_tool("release", {"name": "it"})
        assert (await call).text == "it was released"


@proves("DUAL-01", "DUAL-05", over=("http",))
async def test_every_revision_is_served_at_once(connect: Connect, way: Way) -> None:
    """One endpoint, all eras, each with its own shapes."""
    async with connect() as one, connect(mode="2025-03-26") as old, connect(mode="2024-11-05") as oldest:
        clients = (one, old, oldest)
        results = await asyncio.gather(*(client.call_tool("weather", {"city": "Rome"}) for client in clients))
    assert ["structuredContent" in result for result in results] == [way.since("2025-06-18"), False, False]


@proves("STATE-05", over=SHARED)
async def test_lists_are_the_same_for_all_and_after_every_call(connect: Connect) -> None:
    """META-14: whatever the connection was used for, and whatever the caller calls itself."""

    async def lists(client: MCPClient) -> list[list[str]]:
        listed = (await client.list_tools(), await client.list_resources(), await client.list_prompts())
        return [[entry.name for entry in entries] for entries in listed]

    async with (
        connect(elicitation_handler=lambda asked: {"value": 1}) as one,
        connect(log_level="debug", client_info=STRANGER) as two,
    ):
        first = await lists(one)
        await one.call_tool("book", {"city": "Rome"})
        async with two.listen(tools=True):
            await two.call_tool("say", {"levels": ["info"]})
            assert await lists(two) == first
        assert await lists(one) == first


@proves("STATE-02", over=SHARED)
async def test_a_round_of_questions_can_go_on_over_any_connection(connect: Connect) -> None:
    """Nothing but requestState says what was answered already."""
    meta = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    call: dict[str, Any] = {"name": "returned", "arguments": {"city": "Rome"}, "_meta": meta}
    async with connect() as one, connect() as two:
        asked = await one.request("tools/call", call)
        for client, answer in ((two, {"value": 4}), (one, {"value": "soup"})):
            answers = {key: {"action": "accept", "content": answer} for key in asked["inputRequests"]}
            retry = {**call, "inputResponses": answers, "requestState": asked["requestState"]}
            asked = await client.request("tools/call", retry)
    assert asked["content"][0]["text"] == "4 seats to Rome with soup after 2 rounds"

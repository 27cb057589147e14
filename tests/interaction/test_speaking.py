"""Calls that speak while they work: progress and log messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client import Change, LogMessage, Progress, ServerRefused
from tests.interaction.conftest import Connect
from tests.interaction.requirements import proves
from tests.interaction.ways import Way

ALL = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


@proves("PROG-01", "PROG-02", "PROG-03")
async def test_progress_is_heard_in_order_before_the_result(connect: Connect, way: Way) -> None:
    heard: list[Progress] = []
    async with connect() as client:
        result = await client.call_tool("count", {"to": 3}, progress_handler=heard.append)
        silent = await client.call_tool("count", {"to": 2})
    worded = way.since("2025-03-26")
    assert heard == [Progress(n, 3, f"number {n}" if worded else None) for n in (1, 2, 3)]
    assert (result.text, silent.text) == ("counted to 3", "counted to 2")


@proves("LOG-01")
async def test_messages_carry_level_logger_and_data(connect: Connect) -> None:
    heard: list[LogMessage] = []
    async with connect(log_handler=heard.append, log_level="debug") as client:
        assert "logging" in client.server_capabilities
        await client.call_tool("say", {"levels": ALL})
    assert heard == [LogMessage(level, {"said": level}, "parrot") for level in ALL]


@proves("LOG-01")
async def test_the_least_level_is_obeyed(connect: Connect) -> None:
    heard: list[LogMessage] = []
    async with connect(log_handler=heard.append, log_level="error") as client:
        await client.call_tool("say", {"levels": ALL})
        assert [message.level for message in heard] == ALL[4:]
        await client.set_log_level("alert")
        await client.call_tool("say", {"levels": ALL})
    assert [message.level for message in heard[4:]] == ALL[6:]


@proves("LOG-02")
async def test_a_session_without_a_level_hears_what_the_server_decides(connect: Connect) -> None:
    heard: list[LogMessage] = []
    async with connect(log_handler=heard.append) as client:
        await client.call_tool("say", {"levels": ALL})
        with pytest.raises(ServerRefused) as refused:
            await client.request("logging/setLevel", {"level": "loud"})
    assert [message.level for message in heard] == ALL[1:]
    assert refused.value.code == -32602


@proves("LOG-03")
async def test_a_request_without_a_level_hears_nothing(connect: Connect) -> None:
    heard: list[LogMessage] = []
    async with connect(log_handler=heard.append) as client:
        assert (await client.call_tool("say", {"levels": ALL})).text == "said"
    assert heard == []


@proves("LOG-04")
async def test_a_request_with_an_unknown_level_is_refused(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(ServerRefused) as refused:
            await client.call_tool("add", {"a": 1, "b": 2}, meta={"io.modelcontextprotocol/logLevel": "loud"})
    assert refused.value.code == -32602


@proves("LOG-06")
async def test_what_is_logged_outside_a_request_reaches_every_session_at_its_level(connect: Connect) -> None:
    """Once each, in order: also the session whose request it happened in, and one that said no level."""
    heard: list[asyncio.Queue[LogMessage]] = [asyncio.Queue(), asyncio.Queue()]
    async with (
        connect(log_handler=heard[0].put_nowait, log_level="error") as one,
        connect(log_handler=heard[1].put_nowait) as other,
    ):
        for client in (one, other):
            await client.call_tool("announce", {"levels": ["debug", "info", "error", "error"]})
        for line, levels in zip(heard, (["error"] * 2, ["info", "error", "error"]), strict=True):
            for level in levels * (1 if connect.way.transport == "stdio" else 2):  # there, each has its own server
                assert await line.get() == LogMessage(level, {"announced": level}, "crier")
        for client in (one, other):
            await client.call_tool("announce", {"levels": ["emergency"]})
        for line in heard:
            assert (await line.get()).level == "emergency"


@proves("LOG-03", "SUB-10")
async def test_who_has_no_session_hears_nothing_that_belongs_to_no_request(connect: Connect) -> None:
    heard: list[LogMessage] = []
    async with connect(log_handler=heard.append, log_level="debug") as client, client.listen(prompts=True) as changes:
        await client.call_tool("announce", {"levels": ALL})
        await client.call_tool("change", {"kind": "prompts", "how": "add"})
        assert await anext(changes) == Change("prompts")
    assert heard == []


@proves("META-22", "PROG-05", "SUB-10")
async def test_what_a_call_says_is_no_news_for_a_stream(connect: Connect) -> None:
    """Beside an open stream: progress and messages reach the caller once, without the stream's mark."""
    heard: list[tuple[str, dict[str, Any]]] = []
    progress: list[Progress] = []
    async with (
        connect(message_handler=lambda method, params: heard.append((method, params)), log_level="debug") as client,
        client.listen(prompts=True) as changes,
    ):
        await client.call_tool("say", {"levels": ["info"]})
        await client.call_tool("count", {"to": 2}, progress_handler=progress.append)
        await client.call_tool("change", {"kind": "prompts", "how": "add"})
        assert await anext(changes) == Change("prompts")
    assert [params for method, params in heard if method == "notifications/message"] == [
        {"level": "info", "logger": "parrot", "data": {"said": "info"}}
    ]
    assert [step.progress for step in progress] == [1, 2]


@proves("LOG-06")
async def test_work_that_outlives_its_call_is_heard_in_the_session(connect: Connect) -> None:
    heard: asyncio.Queue[LogMessage] = asyncio.Queue()
    async with connect(log_handler=heard.put_nowait) as client:
        assert (await client.call_tool("outlive", {"name": "it"})).text == "answered"
        await client.call_tool("release", {"name": "it"})
        assert (await client.call_tool("fate", {"name": "it"})).text == "told"
        assert (await heard.get()).data == "it is done"
    assert heard.empty()


@proves("LOG-03")
async def test_work_that_outlives_its_call_has_nobody_to_tell(connect: Connect) -> None:
    """Nothing is said after the answer, and nothing breaks."""
    heard: list[LogMessage] = []
    async with connect(log_handler=heard.append, log_level="debug") as client:
        assert (await client.call_tool("outlive", {"name": "it"})).text == "answered"
        await client.call_tool("release", {"name": "it"})
        assert (await client.call_tool("fate", {"name": "it"})).text == "told"
    assert heard == []

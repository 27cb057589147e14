"""The in-memory client: what a server's author writes tests with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mcpkit import Context, Elicitation, MCPClient, Server
from mcpkit.client import BlockingClient
from mcpkit.protocol.revisions.registry import SUPPORTED
from mcpkit.testing import connect
from mcpkit.transports.memory import Memory

SECONDS = 20


def greeter() -> Server:
    server = Server("greeter", "1.0")

    @server.tool
    async def greet(ctx: Context) -> str:
        """Greet whoever answers."""
        name = await ctx.elicit("Your name?")
        return f"Hello, {name.data}!" if name else "Hello, stranger!"

    @server.tool
    def add(a: int, b: int) -> int:
        return a + b

    return server


@pytest.mark.parametrize("revision", SUPPORTED)
async def test_a_server_is_called_in_every_revision(revision: str) -> None:
    async with connect(greeter(), revision=revision) as client:
        assert client.protocol_version == revision
        assert [tool.name for tool in await client.list_tools()] == ["add", "greet"]
        assert (await client.call_tool("add", {"a": 5, "b": 3})).text == "8"


async def test_the_newest_revision_is_found_by_itself() -> None:
    async with connect(greeter()) as client:
        assert client.protocol_version == SUPPORTED[0]


@pytest.mark.parametrize("revision", [name for name in SUPPORTED if name > "2025-06"])
async def test_handlers_answer_what_a_tool_asks(revision: str) -> None:
    """DUAL-09: the tool is written once."""
    async with connect(greeter(), revision=revision, elicitation_handler=lambda *_: {"value": "Ada"}) as client:
        assert (await client.call_tool("greet")).text == "Hello, Ada!"


def test_outcomes_read_as_truth() -> None:
    assert Elicitation("accept", 1)
    assert not Elicitation("decline")


async def test_a_session_that_the_server_ends_is_opened_anew() -> None:
    """A second pipe is laid while the first is still being taken away, or after that where there is only one."""
    server = greeter()

    async def leave(ctx: Context, params: object) -> dict[str, object]:
        ctx.exchange.channel.hang_up()
        return {}

    server.register_method("leave", leave)
    one_pipe = MCPClient(Memory(server.kernel), mode=SUPPORTED[1])
    async with connect(server, revision=SUPPORTED[1]) as a_pipe_each_time, one_pipe as always_the_same:
        for client in (a_pipe_each_time, always_the_same):
            for _ in range(3):
                await client.request("leave")
                assert len(await client.list_tools()) == 2


async def test_a_server_is_a_target_by_itself() -> None:
    """TR-05: in whatever revision, by many clients at once, inside one lifespan."""
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[dict[str, int]]:
        seen.append("begins")
        yield {"answer": 42}
        seen.append("ends")

    server = Server("object", lifespan=lifespan)
    server.tool(told)
    async with asyncio.timeout(SECONDS), AsyncExitStack() as clients:
        for mode in ("auto", "legacy", *SUPPORTED):
            client = await clients.enter_async_context(MCPClient(server, mode=mode))
            assert client.server_info.name == "object"
            assert (await client.call_tool("told")).text == "42"
        assert seen == ["begins"]
    assert seen == ["begins", "ends"]


def told(ctx: Context) -> int:
    """Tell what the lifespan has."""
    return int(ctx.lifespan_context["answer"])


async def test_a_lifespan_that_fails_is_the_callers_to_see() -> None:
    """It is the application's own fault, so it is not hidden in a client's error."""

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    async with asyncio.timeout(SECONDS):
        with pytest.raises(LookupError, match="no database"):
            await MCPClient(Server("broken", lifespan=lifespan)).connect()


def test_a_blocking_client_of_a_server() -> None:
    """The server runs in the client's thread."""
    with BlockingClient(greeter(), mode="legacy") as client:
        assert client.call_tool("add", {"a": 5, "b": 3}).data == 8

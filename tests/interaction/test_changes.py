"""Being told that something has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpkit.client import Change, MCPClient, ServerRefused
from tests.interaction.conftest import Connect
from tests.interaction.requirements import proves

LISTS: dict[str, Callable[[MCPClient], Awaitable[list[Any]]]] = {
    "tools": MCPClient.list_tools,
    "prompts": MCPClient.list_prompts,
    "resources": MCPClient.list_resources,
}
NAMES = {"tools": "dance", "prompts": "dance", "resources": "dance"}


@proves("CAP-09", "TOOL-05", "PRMT-07")
@pytest.mark.parametrize("kind", LISTS)
async def test_everyone_who_listens_hears_of_every_change(connect: Connect, kind: str) -> None:
    async with connect() as client:
        assert client.server_capabilities[kind]["listChanged"] is True
        async with client.listen(
            tools=kind == "tools", prompts=kind == "prompts", resources=kind == "resources"
        ) as changes:
            for how in ("add", "disable", "enable", "remove"):
                await client.call_tool("change", {"kind": kind, "how": how})
                assert await anext(changes) == Change(kind)  # type: ignore[arg-type]
                names = {entry.name for entry in await LISTS[kind](client)}
                assert (NAMES[kind] in names) == (how in ("add", "enable")), how


@proves("CAP-09")
async def test_a_handler_hears_changes_as_long_as_the_client_is_connected(connect: Connect) -> None:
    heard: asyncio.Queue[Change] = asyncio.Queue()
    async with connect(change_handler=heard.put_nowait) as client:
        async with client.listen(prompts=True) as ready:  # both subscriptions ask in order: the handler's is there too
            await client.call_tool("change", {"kind": "prompts", "how": "add"})
            assert await anext(ready) == Change("prompts")
        assert await heard.get() == Change("prompts")


@proves("RSRC-12", "SUB-12")
async def test_only_watched_resources_are_told_of(connect: Connect) -> None:
    async with connect() as client:
        assert client.server_capabilities["resources"]["subscribe"] is True
        async with client.listen(uris=["memo://text", "memo://blob"]) as changes:
            for uri in ("memo://other", "memo://blob"):
                await client.call_tool("touch", {"uri": uri})
            assert await anext(changes) == Change("resource", "memo://blob")
        async with client.listen(uris=["memo://text"]) as changes:
            for uri in ("memo://blob", "memo://text"):
                await client.call_tool("touch", {"uri": uri})
            assert await anext(changes) == Change("resource", "memo://text")


@proves("LSUB-01")
async def test_a_session_subscribes_by_request(connect: Connect) -> None:
    async with connect() as client:
        assert await client.request("resources/subscribe", {"uri": "memo://text"}) == {}
        assert await client.request("resources/unsubscribe", {"uri": "memo://text"}) == {}
        with pytest.raises(ServerRefused) as refused:
            await client.request("subscriptions/listen", {"notifications": {}})
    assert refused.value.code == -32601


@proves("RSRC-14")
async def test_a_session_may_watch_what_is_not_there_yet(connect: Connect) -> None:
    async with connect() as client, client.listen(uris=["memo://extra"]) as changes:
        await client.call_tool("change", {"kind": "resources", "how": "add"})
        await client.call_tool("touch", {"uri": "memo://extra"})
        assert await anext(changes) == Change("resource", "memo://extra")


@proves("SUB-01", "SUB-03", "SUB-06")
async def test_a_stream_says_what_it_will_tell(connect: Connect) -> None:
    async with connect() as client:
        async with client.listen(tools=True, uris=["memo://text"]) as changes:
            assert changes.acknowledged == {"toolsListChanged": True, "resourceSubscriptions": ["memo://text"]}
        with pytest.raises(ServerRefused) as refused:
            await client.request("resources/subscribe", {"uri": "memo://text"})
    assert refused.value.code == -32601


@proves("SUB-02")
async def test_nothing_is_told_that_was_not_asked_for(connect: Connect) -> None:
    async with connect() as client, client.listen(prompts=True) as changes:
        for kind in ("tools", "resources", "prompts"):
            await client.call_tool("change", {"kind": kind, "how": "add"})
        assert await anext(changes) == Change("prompts")

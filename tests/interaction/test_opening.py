"""Getting to know each other: handshake, discovery, what is offered to whom, the application's own methods, the end."""

from __future__ import annotations

import pytest

from mcpkit.client import ServerRefused
from mcpkit.protocol.revisions.registry import SUPPORTED
from tests.interaction.conftest import Connect
from tests.interaction.requirements import proves
from tests.interaction.ways import Way


@proves("INIT-02", "INIT-07", "ICON-05")
async def test_a_handshake_says_who_serves(connect: Connect, way: Way) -> None:
    async with connect() as client:
        assert client.protocol_version == way.revision
        assert client.server.instructions == "Call what you want to test."
        info = client.server_info
    assert (info.name, info.version) == ("matrix", "1.2.3")
    assert info.title == ("The matrix" if way.since("2025-06-18") else None)
    for member in ("description", "websiteUrl", "icons"):
        assert (member in info) == way.since("2025-11-25"), member


@proves("DISC-01", "DISC-02", "DISC-04", "META-20")
async def test_discovery_says_who_serves(connect: Connect) -> None:
    """AMB-09."""
    async with connect() as client:
        found = await client.request("server/discover")
        assert client.server_info.title == "The matrix"
        assert client.server.instructions == "Call what you want to test."
    assert found["supportedVersions"] == list(SUPPORTED)
    assert found["resultType"] == "complete"
    assert found["ttlMs"] >= 0
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "matrix"
    assert "tasks" not in found["capabilities"]


@proves("METH-01", "RPC-14")
async def test_a_method_outside_its_revision_is_unknown(connect: Connect, way: Way) -> None:
    foreign = {
        True: ["server/discover", "subscriptions/listen", "nonsense"],
        False: ["ping", "logging/setLevel", "resources/subscribe", "nonsense"],
    }
    async with connect() as client:
        for method in foreign[way.has_sessions]:
            with pytest.raises(ServerRefused) as refused:
                await client.request(method)
            assert refused.value.code == -32601, method
            if way.transport == "http":
                assert refused.value.status in ((200, None) if way.has_sessions else (404,))


@proves("PING-01")
async def test_a_ping_is_answered(connect: Connect) -> None:
    async with connect() as client:
        assert await client.request("ping") == {}
        assert await client.ping() >= 0


@proves("PING-03")
async def test_liveness_is_any_answer(connect: Connect) -> None:
    async with connect() as client:
        assert await client.ping() >= 0


@proves("RPC-14")
async def test_the_applications_methods_work_everywhere(connect: Connect) -> None:
    async with connect() as client:
        assert (await client.request("app/double", {"text": "ho"}))["twice"] == "hoho"


@proves("TOOL-29")
async def test_a_tool_is_there_for_those_who_may_see_it(connect: Connect) -> None:
    async with connect(client_info={"name": "friend"}) as friend:
        assert "secret" in [tool.name for tool in await friend.list_tools()]
        assert (await friend.call_tool("secret")).text == "for friends only"
    async with connect(client_info={"name": "stranger"}) as stranger:
        assert "secret" not in [tool.name for tool in await stranger.list_tools()]
        with pytest.raises(ServerRefused) as refused:
            await stranger.call_tool("secret")
    assert refused.value.code == -32602


@proves("INIT-17")
async def test_a_session_that_the_server_ends_is_opened_anew(connect: Connect) -> None:
    async with connect() as client:
        assert (await client.request("app/leave"))["status"] == "left"
        assert len(await client.list_prompts()) == 3


@proves("STATE-01")
async def test_hanging_up_ends_no_session_where_there_is_none(connect: Connect) -> None:
    async with connect() as client:
        assert (await client.request("app/leave"))["status"] == "left"
        assert len(await client.list_prompts()) == 3

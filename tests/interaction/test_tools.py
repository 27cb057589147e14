"""Tools: listed, called, refused, and their contents brought into each revision's shape."""

from __future__ import annotations

import json

import pytest

from mcpkit.client import MCPClient, ServerRefused, ToolFailed
from tests.interaction.conftest import Connect
from tests.interaction.offers import ICON, PIXEL
from tests.interaction.requirements import proves
from tests.interaction.ways import Way


async def pages(client: MCPClient, method: str, member: str) -> list[list[str]]:
    """The names on each page."""
    found, cursor = [], None
    while True:
        page = await client.request(method, {} if cursor is None else {"cursor": cursor})
        found.append([entry["name"] for entry in page[member]])
        cursor = page.get("nextCursor")
        if cursor is None:
            return found


@proves("TOOL-01", "TOOL-02", "SHAPE-01", "ICON-01")
async def test_a_tool_is_listed_as_its_revision_knows_it(connect: Connect, way: Way) -> None:
    async with connect() as client:
        assert "tools" in client.server_capabilities
        tools = {tool.name: tool for tool in await client.list_tools()}
    adder, weather = tools["add"], tools["weather"]
    assert adder.description == "Add two numbers."
    assert adder.input_schema["type"] == "object"
    assert adder.input_schema["required"] == ["a", "b"]
    assert adder.input_schema["properties"]["a"] == {"type": "integer", "description": "The first."}
    assert adder.display_name == ("Adder" if way.since("2025-03-26") else "add")
    assert ("title" in adder) == way.since("2025-06-18")
    assert ("annotations" in adder) == way.since("2025-03-26")
    assert ("outputSchema" in weather) == way.since("2025-06-18")
    assert ("_meta" in adder) == way.since("2025-06-18")
    assert adder.icons == ([ICON] if way.since("2025-11-25") else [])


@proves("TOOL-02", "PAGE-01", "PAGE-03")
async def test_lists_come_in_pages(connect: Connect) -> None:
    async with connect() as client:
        found = await pages(client, "tools/list", "tools")
        names = [name for page in found for name in page]
        assert len(found) > 2
        assert {len(page) for page in found[:-1]} == {8}
        assert len(names) == len(set(names))
        assert [tool.name for tool in await client.list_tools()] == names
        with pytest.raises(ServerRefused) as refused:
            await client.request("tools/list", {"cursor": "nonsense"})
    assert refused.value.code == -32602


@proves("STATE-07", "CACHE-01")
async def test_the_list_keeps_its_order_and_says_how_long_it_holds(connect: Connect) -> None:
    async with connect() as client:
        first, second = [await client.request("tools/list") for _ in range(2)]
    assert first == second
    assert first["ttlMs"] >= 0
    assert first["cacheScope"] in {"public", "private"}


@proves("TOOL-20", "TOOL-21", "TOUT-03")
async def test_a_call_returns_text_and_structure(connect: Connect, way: Way) -> None:
    async with connect() as client:
        number = await client.call_tool("add", {"a": 5, "b": 3})
        weather = await client.call_tool("weather", {"city": "Chengdu"})
    assert number.text == "8"
    assert not number.is_error
    assert json.loads(weather.text) == {"city": "Chengdu", "degrees": 21.5}
    structured = {"city": "Chengdu", "degrees": 21.5} if way.since("2025-06-18") else None
    assert weather.get("structuredContent") == structured
    assert number.get("structuredContent") == ({"result": 8} if way.since("2025-06-18") else None)


@proves("TOUT-05")
async def test_structure_may_be_any_json(connect: Connect) -> None:
    async with connect() as client:
        listed = {tool.name: tool for tool in await client.list_tools()}
        assert listed["primes"].output_schema == {"type": "array", "items": {"type": "integer"}}
        assert (await client.call_tool("primes")).data == [2, 3, 5]


@proves("TOUT-06")
async def test_a_structure_that_is_no_object_becomes_text(connect: Connect) -> None:
    async with connect() as client:
        listed = {tool.name: tool for tool in await client.list_tools()}
        result = await client.call_tool("primes")
    assert "outputSchema" not in listed["primes"]
    assert "structuredContent" not in result
    assert json.loads(result.text) == [2, 3, 5]


@proves("TCON-01", "TCON-04", "TCON-06")
async def test_blocks_are_lowered_to_what_the_revision_knows(connect: Connect, way: Way) -> None:
    async with connect() as client:
        text, image, audio, link, embedded = (await client.call_tool("contents")).content
    assert text.to_dict() == {"type": "text", "text": "text"}
    assert (image.type, image.mime_type, image.bytes) == ("image", "image/png", PIXEL)
    assert image.annotations["audience"] == ["user"]
    assert ("lastModified" in image.annotations) == way.since("2025-06-18")
    assert audio.type == ("audio" if way.since("2025-03-26") else "text")
    assert audio.bytes == (b"RIFF" if way.since("2025-03-26") else b"")
    assert link.type == ("resource_link" if way.since("2025-06-18") else "text")
    assert "memo://text" in (link.uri or link.text)
    assert embedded.resource is not None
    assert (embedded.resource.uri, embedded.resource.text) == ("memo://inside", "embedded")


@proves("TOOL-22")
async def test_an_unknown_tool_is_refused(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(ServerRefused, match="ad") as refused:
            await client.call_tool("ad")
        assert refused.value.code == -32602
        assert "add" in str(refused.value), "a near name is suggested"
        with pytest.raises(ServerRefused) as refused:
            await client.request("tools/call", {"name": "add", "arguments": [1, 2]})
        assert refused.value.code == -32602


@proves("TOOL-23")
async def test_bad_arguments_are_told_to_the_model_or_the_program(connect: Connect, way: Way) -> None:
    async with connect() as client:
        with pytest.raises(ToolFailed if way.since("2025-11-25") else ServerRefused) as failed:
            await client.call_tool("add", {"a": "many"})
    assert "a" in str(failed.value)
    assert "b" in str(failed.value)
    if isinstance(failed.value, ServerRefused):
        assert failed.value.code == -32602


@proves("TOOL-24", "LOG-05")
async def test_a_tools_failure_is_a_result(connect: Connect) -> None:
    async with connect() as client:
        failed = await client.call_tool("fail", {"text": "no such flight"}, raise_on_error=False)
        crashed = await client.call_tool("crash", raise_on_error=False)
        partly = await client.call_tool("partly", raise_on_error=False)
    assert (failed.is_error, failed.text) == (True, "no such flight")
    assert crashed.is_error
    assert "secret" not in crashed.text
    assert (partly.is_error, partly.text, partly.meta["example.org/half"]) == (True, "half of it", True)


@proves("META-07")
async def test_a_handler_sees_who_calls(connect: Connect, way: Way) -> None:
    async with connect(client_info={"name": "tester"}, roots=["/"]) as client:
        seen = json.loads((await client.call_tool("who", meta={"traceparent": "00-1-2-01"})).text)
    assert seen == {
        "name": "tester",
        "revision": way.revision,
        "session": way.has_sessions,
        "can": ["roots"],
        "trace": "00-1-2-01",
    }


@proves("TIME-01")
async def test_a_tool_has_its_own_time_limit(connect: Connect) -> None:
    async with connect() as client:
        late = await client.call_tool("hurry", raise_on_error=False)
    assert late.is_error
    assert "hurry" in late.text


@proves("RPC-16")
async def test_members_that_nobody_knows_are_ignored(connect: Connect) -> None:
    async with connect() as client:
        sent = {
            "name": "add",
            "arguments": {"a": 1, "b": 2},
            "example.org/new": {"x": [1]},
            "_meta": {"example.org/y": 1},
        }
        assert (await client.request("tools/call", sent))["content"][0]["text"] == "3"

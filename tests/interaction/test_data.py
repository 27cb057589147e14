"""Resources, templates, prompts and completion."""

from __future__ import annotations

import json

import pytest

from mcpkit.client import ServerRefused
from tests.interaction.conftest import Connect
from tests.interaction.offers import PIXEL
from tests.interaction.requirements import proves
from tests.interaction.ways import Way


@proves("RSRC-01", "RSRC-02")
async def test_resources_are_listed(connect: Connect, way: Way) -> None:
    async with connect() as client:
        assert "resources" in client.server_capabilities
        listed = {resource.uri: resource for resource in await client.list_resources()}
    text = listed["memo://text"]
    assert (text.name, text.mime_type, text.size, text.description) == ("text", "text/plain", 5, "Say hello.")
    assert text.title == ("Text" if way.since("2025-06-18") else None)
    assert bool(text.icons) == way.since("2025-11-25")


@proves("RSRC-03")
async def test_templates_are_listed(connect: Connect) -> None:
    async with connect() as client:
        listed = {template.uri_template: template.name for template in await client.list_resource_templates()}
    assert listed["pair://{left}/{right}"] == "pair"
    assert len(listed) == 2


@proves("RSRC-04", "RSRC-11")
async def test_text_and_bytes_are_read(connect: Connect) -> None:
    async with connect() as client:
        text = await client.read_resource("memo://text")
        blob = await client.read_resource("memo://blob")
    assert [part.to_dict() for part in text.contents] == [
        {"uri": "memo://text", "mimeType": "text/plain", "text": "hello"}
    ]
    assert [(part.bytes, part.mime_type) for part in blob.contents] == [(b"\x00\xff", "application/octet-stream")]


@proves("RSRC-13")
async def test_a_template_is_matched(connect: Connect) -> None:
    async with connect() as client:
        deep = await client.read_resource("tree://a/b%20c/d")
        pair = await client.read_resource("pair://one/two%2Fthree")
        with pytest.raises(ServerRefused):
            await client.read_resource("pair://one/two/three")
    assert json.loads(deep.text) == {"path": "a/b c/d"}
    assert pair.text == "one and two/three"


@proves("RSRC-05")
async def test_a_missing_resource_is_named(connect: Connect, way: Way) -> None:
    async with connect() as client:
        with pytest.raises(ServerRefused) as refused:
            await client.read_resource("memo://missing")
    assert refused.value.code == (-32002 if way.has_sessions else -32602)
    assert refused.value.data["uri"] == "memo://missing"


@proves("RSRC-07", "CACHE-01")
async def test_contents_say_how_long_they_hold(connect: Connect) -> None:
    async with connect() as client:
        for method, params in (("resources/read", {"uri": "memo://text"}), ("resources/list", {})):
            result = await client.request(method, params)
            assert result["ttlMs"] >= 0, method
            assert result["cacheScope"] in {"public", "private"}, method


@proves("PRMT-01")
async def test_prompts_are_listed(connect: Connect, way: Way) -> None:
    async with connect() as client:
        assert "prompts" in client.server_capabilities
        listed = {prompt.name: prompt for prompt in await client.list_prompts()}
    greet = listed["greet"]
    assert [(argument.name, bool(argument.get("required"))) for argument in greet.arguments] == [
        ("name", True),
        ("tone", False),
    ]
    assert greet.arguments[0].description == "Whom."
    assert greet.title == ("Greeting" if way.since("2025-06-18") else None)


@proves("PRMT-02", "PRMT-04")
async def test_a_prompt_is_filled_in(connect: Connect) -> None:
    async with connect() as client:
        greet = await client.get_prompt("greet", {"name": "Ada", "tone": "formal"})
        show = await client.get_prompt("show")
    assert [(message.role, message.content.text) for message in greet.messages] == [
        ("user", "Greet Ada in a formal way.")
    ]
    assert show.description == "A picture"
    assert [message.role for message in show.messages] == ["user", "assistant"]
    assert show.messages[1].content.bytes == PIXEL


@proves("PRMT-03", "PRMT-08")
async def test_a_prompt_that_is_none_is_refused(connect: Connect) -> None:
    async with connect() as client:
        for name, arguments in (("greed", {}), ("greet", {}), ("greet", {"name": "Ada", "tone": "rude"})):
            with pytest.raises(ServerRefused) as refused:
                await client.get_prompt(name, arguments)
            assert refused.value.code == -32602
        with pytest.raises(ServerRefused) as refused:
            await client.request("prompts/get", {"name": "greet", "arguments": {"name": 1}})
        assert refused.value.code == -32602


@proves("COMP-02", "COMP-03")
async def test_arguments_are_completed(connect: Connect, way: Way) -> None:
    async with connect() as client:
        assert ("completions" in client.server_capabilities) == way.since("2025-03-26")
        prompts = {prompt.name: prompt for prompt in await client.list_prompts()}
        tone = await client.complete(prompts["greet"], {"name": "tone", "value": "fr"})
        path = await client.complete({"type": "ref/resource", "uri": "tree://{path*}"}, {"name": "path", "value": "a/"})
        free = await client.complete(prompts["greet"], {"name": "name", "value": "A"}, context={"tone": "formal"})
    assert tone.values == ["friendly"]
    assert path.values == ["a/b", "a/c"]
    assert free.values == ["A-0", "A-1", "A-2", *(["formal"] if way.since("2025-06-18") else [])]


@proves("COMP-04")
async def test_completing_nothing_is_refused(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(ServerRefused) as refused:
            await client.complete({"type": "ref/prompt", "name": "greed"}, {"name": "name", "value": ""})
    assert refused.value.code == -32602

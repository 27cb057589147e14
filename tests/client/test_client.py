"""Every request of the protocol as a method."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client import MCPClient
from mcpkit.client.errors import ConnectionLost, ServerRefused, Unsupported
from mcpkit.client.results import Prompt, ResourceTemplate
from mcpkit.jsonrpc.messages import Notification, Response
from tests.client.scripted import (
    HANDSHAKE,
    MODERN,
    FakeTransport,
    answering,
    handshake_script,
    http_peer,
    modern_script,
    soon,
    until,
)

ROWS: dict[str, Any] = {
    "tools/list": lambda _: {"tools": [{"name": "add", "inputSchema": {"type": "object"}}]},
    "tools/call": lambda params: {"content": [{"type": "text", "text": str(params["arguments"])}]},
    "resources/list": lambda _: {"resources": [{"uri": "a:b", "name": "b"}]},
    "resources/templates/list": lambda _: {"resourceTemplates": [{"uriTemplate": "a:{x}", "name": "t"}]},
    "resources/read": lambda params: {"contents": [{"uri": params["uri"], "text": "hello"}]},
    "prompts/list": lambda _: {"prompts": [{"name": "p", "arguments": [{"name": "x", "required": True}]}]},
    "prompts/get": lambda params: {
        "messages": [{"role": "user", "content": {"type": "text", "text": str(params.get("arguments"))}}]
    },
    "completion/complete": lambda params: {"completion": {"values": [str(params["ref"])], "hasMore": False}},
    "ping": lambda _: {},
    "logging/setLevel": lambda _: {},
    "x/y": lambda params: {"echo": params.get("a")},
}


@pytest.mark.parametrize("mode", [MODERN, HANDSHAKE])
async def test_all_requests_over_http(mode: str) -> None:
    """Both eras, over a real connection."""
    script = modern_script(ROWS) if mode == MODERN else handshake_script(ROWS)
    async with http_peer(script) as peer, MCPClient(peer.url) as client:
        assert client.protocol_version == mode
        assert client.server_info.name == "scripted"
        assert "tools" in client.server_capabilities
        assert [tool.name for tool in await soon(client.list_tools())] == ["add"]
        assert (await soon(client.call_tool("add", {"a": 1}))).text == "{'a': 1}"
        assert [resource.uri for resource in await soon(client.list_resources())] == ["a:b"]
        assert [one.uri_template for one in await soon(client.list_resource_templates())] == ["a:{x}"]
        assert (await soon(client.read_resource("a:b"))).text == "hello"
        (prompt,) = await soon(client.list_prompts())
        assert prompt.arguments[0].required
        assert (await soon(client.get_prompt("p", {"x": "1"}))).messages[0].content.text == "{'x': '1'}"
        assert (await soon(client.get_prompt("p"))).messages[0].content.text == "None"
        assert await soon(client.ping()) >= 0
        assert (await soon(client.request("x/y", {"a": 1})))["echo"] == 1
        with pytest.raises(ServerRefused) as refused:
            await soon(client.request("no/such"))
        assert refused.value.code == -32601
        await soon(client.notify("notifications/x", {"b": 2}))
        assert peer.messages("notifications/x")[0]["params"]["b"] == 2


async def test_connected_by_the_first_call() -> None:
    """``async with`` is a habit, not a duty."""
    client = MCPClient(FakeTransport(answering(ROWS)))
    assert client.protocol_version is None
    assert client.server_info.name == ""
    assert (await soon(client.read_resource("a:b"))).text == "hello"
    await soon(client.close())
    with pytest.raises(ConnectionLost, match="closed"):
        await soon(client.read_resource("a:b"))
    await soon(client.close())


async def test_a_thousand_calls_at_once() -> None:
    """Issue: on one client, each with its own answer; over HTTP, with as many connections as it takes."""
    rows = {"x/y": lambda params: {"echo": params["n"]}}
    async with http_peer(modern_script(rows)) as peer, MCPClient(peer.url) as client:
        async with asyncio.timeout(50):
            answers = await asyncio.gather(*(client.request("x/y", {"n": n}) for n in range(1000)))
    assert [answer["echo"] for answer in answers] == list(range(1000))


async def test_completion() -> None:
    """COMP-02: by prompt, template or plain reference, with what is filled in already."""
    transport = FakeTransport(answering(ROWS))
    async with MCPClient(transport) as client:
        argument = {"name": "x", "value": "a"}
        assert (await soon(client.complete(Prompt(name="p"), argument))).values == [
            "{'type': 'ref/prompt', 'name': 'p'}"
        ]
        await soon(client.complete(ResourceTemplate(uri_template="a:{x}"), argument, context={"y": "1"}))
        assert transport.calls[-1].params["ref"] == {"type": "ref/resource", "uri": "a:{x}"}
        assert transport.calls[-1].params["context"] == {"arguments": {"y": "1"}}
        await soon(client.complete({"type": "ref/prompt", "name": "q"}, argument))
        assert transport.calls[-1].params["argument"] == argument


async def test_ping_by_the_revision() -> None:
    """PING-01, PING-03: the newest revision has none, so its server is asked who it is."""
    for mode, method in ((MODERN, "server/discover"), (HANDSHAKE, "ping")):
        transport = FakeTransport(answering(ROWS, modern=mode == MODERN))
        async with MCPClient(transport, mode=mode) as client:
            await soon(client.ping())
            assert transport.methods()[-1] == method


@pytest.mark.parametrize("mode", [MODERN, HANDSHAKE])
async def test_log_levels_by_the_revision(mode: str) -> None:
    """LOG-02, LOG-03: a request of its own, or a word on every request; on later connections too."""
    made: list[FakeTransport] = []

    async def answer(call: Any) -> dict[str, Any]:
        found = await answering(ROWS, modern=mode == MODERN)(call)
        return {**found, "capabilities": {"logging": {}}} if call.method == "initialize" else found

    def make() -> FakeTransport:
        made.append(FakeTransport(answer))
        return made[-1]

    async with MCPClient(make, mode=mode, log_level="warning") as client:
        await soon(client.set_log_level("debug"))
        made[0].lost(ConnectionLost("gone"))
        await soon(client.request("x/y"))
        with pytest.raises(ValueError, match="must be one of debug"):
            await soon(client.set_log_level("loud"))
    if mode == MODERN:
        levels = [call.params["_meta"].get("io.modelcontextprotocol/logLevel") for call in made[1].calls]
        assert levels == ["debug", "debug"]
    else:
        levels = [
            call.params["level"] for call in (*made[0].calls, *made[1].calls) if call.method == "logging/setLevel"
        ]
        assert levels == ["warning", "debug", "debug"]


async def test_roots_may_change() -> None:
    """ROOT-03: told where the revision has the notification; asked for where it has not."""
    for mode in (MODERN, HANDSHAKE):
        transport = FakeTransport(answering(ROWS, modern=mode == MODERN))
        async with MCPClient(transport, mode=mode, roots=["file:///a"]) as client:
            transport.sent.clear()
            await soon(client.set_roots(["file:///b"]))
            if mode == HANDSHAKE:
                assert transport.sent == [Notification("notifications/roots/list_changed", {})]
                transport.sent.clear()
                transport.ask(1, "roots/list", {})
                assert await transport.next_sent() == Response(1, {"roots": [{"uri": "file:///b"}]})
            else:
                assert transport.sent == []
    async with MCPClient(FakeTransport(answering(ROWS))) as client:
        with pytest.raises(Unsupported):
            await soon(client.set_roots([]))


async def test_the_server_asks_in_the_handshake_era() -> None:
    """ELIC-02: answered while the call that made it ask is underway."""
    asked = {"message": "?", "requestedSchema": {"type": "object", "properties": {"n": {"type": "integer"}}}}

    async def call_tool(params: dict[str, Any]) -> dict[str, Any]:
        transport.sent.clear()
        transport.ask("q1", "elicitation/create", asked)
        answer = await transport.next_sent()
        assert isinstance(answer, Response)
        return {"content": [{"type": "text", "text": str(answer.result["content"]["n"])}]}

    transport = FakeTransport(answering({"tools/call": call_tool}, modern=False))
    async with MCPClient(transport, mode=HANDSHAKE, elicitation_handler=lambda _: {"n": 7}) as client:
        assert transport.calls[0].params["capabilities"] == {"elicitation": {"form": {}}}
        assert (await soon(client.call_tool("t"))).text == "7"


async def test_a_user_may_take_longer_than_the_server_may_be_silent() -> None:
    """While a question is being answered, the call that made the server ask does not run out of time."""
    asked = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}

    async def call_tool(params: dict[str, Any]) -> dict[str, Any]:
        transport.sent.clear()
        transport.ask("q1", "elicitation/create", asked)
        await transport.next_sent()
        return {"content": []}

    async def thinks(elicitation: Any) -> bool:
        await asyncio.sleep(0.3)
        return True

    transport = FakeTransport(answering({"tools/call": call_tool}, modern=False))
    async with MCPClient(transport, mode=HANDSHAKE, elicitation_handler=thinks, timeout=0.1) as client:
        assert (await soon(client.call_tool("t"))).content == []


async def test_handlers_hear_what_the_server_says() -> None:
    """Log messages, any notification, changes of lists."""
    heard: list[Any] = []
    transport = FakeTransport(answering(ROWS, modern=False))
    async with MCPClient(
        transport,
        mode=HANDSHAKE,
        log_handler=lambda message: heard.append((message.level, message.data)),
        message_handler=lambda method, params: heard.append(method),
        change_handler=lambda change: heard.append(change.kind),
    ):
        transport.tell("notifications/message", {"level": "error", "data": {"x": 1}})
        transport.tell("notifications/other", {})
        assert heard == [("error", {"x": 1}), "notifications/message", "notifications/other"]


async def test_changes_are_heard_for_as_long_as_it_is_connected() -> None:
    """SUB-01: the kinds that the server can tell of; in the newest era by a listen stream of their own."""
    heard: list[str] = []
    listening = asyncio.Event()

    async def listen(params: dict[str, Any]) -> dict[str, Any]:
        assert params["notifications"] == {"toolsListChanged": True}
        id = transport.calls[-1].id
        meta = {"_meta": {"io.modelcontextprotocol/subscriptionId": id}}
        transport.tell("notifications/subscriptions/acknowledged", {**meta, "notifications": params["notifications"]})
        transport.tell("notifications/tools/list_changed", meta)
        listening.set()
        return await asyncio.Event().wait()  # type: ignore[return-value]

    transport = FakeTransport(answering({**ROWS, "subscriptions/listen": listen}))
    client = MCPClient(transport, change_handler=lambda change: heard.append(change.kind))
    async with client:
        await soon(listening.wait())
        await until(lambda: heard == ["tools"])
    assert transport.methods() == ["server/discover", "subscriptions/listen"]


async def test_any_list() -> None:
    """An extension's list is paged like any other."""
    rows = {
        "skills/list": lambda params: (
            {"skills": [{"n": 1}]} if params.get("cursor") else {"skills": [{"n": 0}], "nextCursor": "c"}
        )
    }
    async with MCPClient(FakeTransport(answering(rows))) as client:
        assert await soon(client.list_entries("skills/list", "skills")) == [{"n": 0}, {"n": 1}]

"""The context that handlers get."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.features.context import Context, Services
from mcpkit.features.questions import Elicit, ListRoots
from mcpkit.protocol.changes import PROMPTS_CHANGED, RESOURCES_CHANGED, TOOLS_CHANGED, LocalChanges, Notice
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from tests.exchanges import Recorder, Remembered, exchange


async def read(exchange: Exchange, uri: str) -> dict[str, Any]:
    return {"contents": [{"uri": uri, "text": "t"}]}


def context(call: Exchange, **services: Any) -> Context:
    return Context(call, Services(LocalChanges(), read, **services))


async def test_progress_goes_out_only_with_a_token_and_only_while_it_grows() -> None:
    """PROG-01, PROG-02, PROG-03."""
    silent, channel = Recorder(), Recorder()
    await context(exchange("tools/call", channel=silent)).report_progress(1)
    assert silent.said == []
    ctx = context(exchange("tools/call", {"_meta": {"progressToken": 0}}, channel=channel))
    await ctx.report_progress(0, 100)
    await ctx.report_progress(50, 100, "half")
    await ctx.report_progress(50, 100)
    await ctx.report_progress(20, 100)
    assert [params for _, params in channel.said] == [
        {"progressToken": 0, "progress": 0, "total": 100},
        {"progressToken": 0, "progress": 50, "total": 100, "message": "half"},
    ]


@pytest.mark.parametrize("token", [None, {}, [], 1.5, True])
async def test_what_is_no_token_is_told_nothing(token: Any) -> None:
    """PROG-01: a token is a string or an integer; anything else would make a notification that no schema allows."""
    channel = Recorder()
    await context(exchange("tools/call", {"_meta": {"progressToken": token}}, channel=channel)).report_progress(1)
    assert channel.said == []


async def test_every_level_has_its_word() -> None:
    channel = Recorder()
    ctx = context(exchange("tools/call", channel=channel, log_level="debug"))
    await ctx.debug("d")
    await ctx.info({"n": 1}, logger="unit")
    await ctx.warning("w")
    await ctx.error("e")
    assert [params["level"] for _, params in channel.said] == ["debug", "info", "warning", "error"]
    assert channel.said[1][1] == {"level": "info", "data": {"n": 1}, "logger": "unit"}


async def test_it_tells_who_calls() -> None:
    session = Remembered()
    call = exchange("tools/call", {"_meta": {"x": 1}}, principal=Principal("p"), session=session, id="r")
    ctx = context(call, lifespan={"db": "d"})
    assert (ctx.request_id, ctx.session_id, ctx.meta) == ("r", "session-1", {"x": 1})
    assert ctx.principal == Principal("p")
    assert ctx.client.info["name"] == "tester"
    assert ctx.lifespan_context == {"db": "d"}
    assert context(exchange("x", {"_meta": 3})).meta == {}


async def test_it_reads_resources_and_announces_their_changes() -> None:
    feed, heard = LocalChanges(), []
    feed.subscribe(heard.append)
    ctx = Context(exchange("tools/call"), Services(feed, read))
    assert await ctx.read_resource("a://b") == [{"uri": "a://b", "text": "t"}]
    ctx.notify_resource_updated("a://b")
    ctx.notify_tools_changed()
    ctx.notify_prompts_changed()
    ctx.notify_resources_changed()
    lists = [Notice(TOOLS_CHANGED), Notice(PROMPTS_CHANGED), Notice(RESOURCES_CHANGED)]
    assert heard == [Notice.updated("a://b"), *lists]


async def test_it_asks_alone_and_together() -> None:
    answers = {"elicitation/create": {"action": "accept", "content": {"value": 7}}, "roots/list": {"roots": []}}
    channel = Recorder(lambda method, params: answers[method])
    ctx = context(exchange("tools/call", revision=NEWEST_HANDSHAKE, channel=channel))
    assert (await ctx.elicit("How many?", int)).data == 7
    assert (await ctx.elicit("How many?", schema=int)).data == 7
    assert await ctx.elicit_url("Go", "https://e.example")
    assert await ctx.list_roots() == []
    assert await ctx.ask({"n": Elicit("How many?", int), "where": ListRoots()}) == {
        "n": await ctx.elicit("How many?", int),
        "where": [],
    }
    assert await ctx.once("k", lambda: 5) == 5


async def test_it_can_end_the_stream_and_not_the_call() -> None:
    channel = Recorder()
    context(exchange("tools/call", channel=channel)).close_sse_stream(100)
    assert channel.said == [("close_stream", {"retry": 100})]


async def test_two_names_of_one_thing_are_not_both_taken() -> None:
    ctx = context(exchange("tools/call"))
    with pytest.raises(TypeError, match="both response_type and schema"):
        await ctx.elicit("how many?", int, schema=bool)

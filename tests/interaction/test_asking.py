"""Asking the client, written once: the same tools in every revision that has words for the question."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client import Elicitation, Sampling, ServerRefused, ToolFailed
from tests.interaction.conftest import Connect
from tests.interaction.requirements import proves
from tests.interaction.ways import Way

SEATS: Any = {"elicitation_handler": lambda asked: {"value": 2}}


@proves("ELIC-10", "DUAL-09")
async def test_a_tool_asks_in_the_middle_of_its_work(connect: Connect) -> None:
    asked: list[Elicitation] = []

    def answer(question: Elicitation) -> Any:
        asked.append(question)
        return {"value": 3}

    async with connect(elicitation_handler=answer) as client:
        assert (await client.call_tool("book", {"city": "Rome"})).text == "3 seats to Rome"
    (question,) = asked
    assert question.message == "How many seats to Rome?"
    assert question.schema["type"] == "object"
    assert question.schema["properties"]["value"]["type"] == "integer"
    assert "matrix" in question.server.lower()


@proves("ELIC-10", "MRTR-15")
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_no_is_an_outcome(connect: Connect, action: str) -> None:
    async with connect(elicitation_handler=lambda asked: action) as client:
        assert (await client.call_tool("book", {"city": "Rome"})).text == f"{action}: Rome"
        assert (await client.call_tool("outcome")).text == f"{action} None"
        refused = await client.call_tool("booked", {"city": "Rome"}, raise_on_error=False)
    assert refused.is_error
    assert action in refused.text


@proves("ELIC-10", "DUAL-09")
async def test_a_parameter_is_asked_for(connect: Connect) -> None:
    async with connect(**SEATS) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        assert list(tools["booked"].input_schema["properties"]) == ["city"]
        assert (await client.call_tool("booked", {"city": "Rome"})).text == "2 seats to Rome"
        assert (await client.call_tool("outcome")).text == "accept 2"


@proves("ELIC-10", "DUAL-09")
async def test_a_question_is_returned(connect: Connect) -> None:
    answers = iter([{"value": 4}, {"value": "soup"}])
    async with connect(elicitation_handler=lambda asked: next(answers)) as client:
        result = await client.call_tool("returned", {"city": "Rome"})
    assert result.text == "4 seats to Rome with soup after 2 rounds"


@proves("ELIC-10", "MRTR-13")
async def test_an_effect_happens_once(connect: Connect, way: Way) -> None:
    async with connect(elicitation_handler=lambda asked: {"value": True}) as client:
        result = await client.call_tool("pay")
    assert result.text == f"receipt 1 of 1, run {2 if way.asks_by_result else 1}: accept"


@proves("ELIC-20", "ELIC-21")
async def test_the_user_is_sent_to_a_page(connect: Connect, way: Way) -> None:
    asked: list[Elicitation] = []

    def open_page(question: Elicitation) -> bool:
        asked.append(question)
        return True

    async with connect(elicitation_url_handler=open_page) as client:
        assert (await client.call_tool("visit")).text == "accept"
    assert (asked[0].mode, asked[0].url) == ("url", "https://example.org/sign")
    assert ("elicitationId" in asked[0].params) == way.has_sessions


@proves("SAMP-01", "SAMP-02", "SAMP-03")
async def test_the_clients_model_writes(connect: Connect) -> None:
    asked: list[Sampling] = []

    def write(question: Sampling) -> Any:
        asked.append(question)
        return {"role": "assistant", "content": {"type": "text", "text": "Foam."}, "model": "poet-1"}

    async with connect(sampling_handler=write) as client:
        assert (await client.call_tool("write", {"topic": "the sea"})).text == "poet-1 as assistant: Foam."
    assert asked[0].max_tokens == 50
    assert asked[0].messages == [{"role": "user", "content": {"type": "text", "text": "Write about the sea."}}]


@proves("ROOT-01", "ROOT-02")
async def test_roots_are_listed(connect: Connect) -> None:
    async with connect(roots=["file:///srv/a", "file:///srv/b"]) as client:
        assert "file:///srv/b" in (await client.call_tool("folders")).text


@proves("ELIC-10", "SAMP-01", "ROOT-01")
async def test_three_questions_are_asked_at_once(connect: Connect) -> None:
    handlers: Any = {
        "elicitation_handler": lambda asked: {"value": "Ada"},
        "sampling_handler": lambda asked: "Roses",
        "roots": ["file:///srv"],
    }
    async with connect(**handlers) as client:
        assert (await client.call_tool("everything")).text == "Ada, Roses, 1 root"


@proves("ELIC-10", "RSRC-08", "PRMT-05")
async def test_resources_and_prompts_ask_too(connect: Connect) -> None:
    async with connect(elicitation_handler=lambda asked: {"value": "Ada"}) as client:
        assert (await client.read_resource("asked://name")).text == "for Ada"
        assert (await client.get_prompt("personal")).messages[0].content.text == "Greet Ada."


@proves("CAP-04", "CAP-05")
async def test_a_client_that_can_not_be_asked_is_told_so(connect: Connect, way: Way) -> None:
    async with connect() as client:
        with pytest.raises((ServerRefused, ToolFailed)) as failed:
            await client.call_tool("write", {"topic": "the sea"})
        with pytest.raises((ServerRefused, ToolFailed)) as unasked:
            await client.call_tool("book", {"city": "Rome"})
    if way.asks_by_result:
        assert isinstance(failed.value, ServerRefused)
        assert (failed.value.code, failed.value.data) == (-32021, {"requiredCapabilities": {"sampling": {}}})
        assert isinstance(unasked.value, ServerRefused)
    else:
        assert isinstance(failed.value, ToolFailed)
        assert "sampling" in str(failed.value)
        assert isinstance(unasked.value, ToolFailed)


@proves("ELIC-14")
async def test_a_handler_that_answers_nonsense_does_not_get_through(connect: Connect, way: Way) -> None:
    async with connect(elicitation_handler=lambda asked: {"value": "many"}, input_required_max_rounds=2) as client:
        with pytest.raises(Exception, match=r"\S"):
            await client.call_tool("book", {"city": "Rome"})
        assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"


@proves("MRTR-02", "MRTR-03", "MRTR-09", "MRTR-10", "MRTR-11")
async def test_a_request_state_serves_its_own_request_only(connect: Connect) -> None:
    async with connect(**SEATS) as client:
        call = {"name": "book", "arguments": {"city": "Rome"}}
        asked = await client.request("tools/call", call)
        assert asked["resultType"] == "input_required"
        ((key, question),) = asked["inputRequests"].items()
        assert question["method"] == "elicitation/create"
        answered = {
            "inputResponses": {key: {"action": "accept", "content": {"value": 5}}, "unknown": {}},
            "requestState": asked["requestState"],
        }
        again = await client.request("tools/call", {**call, "requestState": asked["requestState"]})
        assert again["resultType"] == "input_required"
        tampered = {"requestState": asked["requestState"][:-4] + "AAAA"}
        for bad in (tampered, {"arguments": {"city": "Paris"}}, {"inputResponses": [1]}, {"requestState": 1}):
            with pytest.raises(ServerRefused) as refused:
                await client.request("tools/call", {**call, **answered, **bad})
            assert refused.value.code == -32602
        done = await client.request("tools/call", {**call, **answered})
    assert done["content"][0]["text"] == "5 seats to Rome"


@proves("ELIC-22")
async def test_a_page_that_the_user_has_finished_with_is_told_of_to_who_sent_them(connect: Connect) -> None:
    heard: list[asyncio.Queue[Any]] = [asyncio.Queue(), asyncio.Queue()]

    def hear(number: int) -> Any:
        return lambda method, params: heard[number].put_nowait(
            (method, params.get("elicitationId", params.get("data")))
        )

    async with (
        connect(elicitation_url_handler=lambda asked: True, message_handler=hear(0)) as one,
        connect(elicitation_url_handler=lambda asked: True, message_handler=hear(1)) as other,
    ):
        assert (await one.call_tool("visit")).text == "accept"
        for page in ("page-8", "page-7"):
            for client in (one, other):  # over stdio each has a server of its own
                await client.call_tool("signed", {"page": page})
        for client in (one, other):
            await client.call_tool("announce", {"levels": ["error"]})
        assert (await heard[0].get())[1] == "page-7"
        while (said := await heard[1].get())[0] != "notifications/message":
            pytest.fail(f"told somebody else: {said}")

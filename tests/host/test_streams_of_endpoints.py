"""Answers as real endpoints send them, each in streamed and in whole form, through a socket: none is lost or merged.

A row is what the fragments of a stream say, or one message that says the same at once, and what must become of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mcpkit.client.http import HttpxCarrier
from mcpkit.host.model import ChatMessage, Completion, ModelDenied, ModelError, ToolOffer
from mcpkit.host.openai import OpenAIModel, Persistence
from tests.host.endpoint import Endpoint, Writes, endpoint, event, head_of, in_turn, sending, streamed, whole

HELLO = [ChatMessage("user", "hello")]
TOOLS = [ToolOffer(name, "Does it.", {"type": "object", "properties": {}}) for name in ("f", "g", "get_weather")]
LIMIT = 20.0


@asynccontextmanager
async def asking(answer: Writes, /, **patience: float) -> AsyncIterator[tuple[OpenAIModel, Endpoint]]:
    async def pause(seconds: float) -> None:
        """Nobody waits in a test."""

    async with endpoint(answer) as peer, asyncio.timeout(LIMIT):
        carrier = HttpxCarrier(verify=False)  # reading all certificates takes longer than a test
        model = OpenAIModel(
            peer.base_url, "asked-1", carrier=carrier, pause=pause, persistence=Persistence(attempts=3, **patience)
        )
        try:
            yield model, peer
        finally:
            await model.close()


async def heard(model: OpenAIModel, *, stream: bool) -> Completion:
    if not stream:
        return await model.complete(HELLO, tools=TOOLS)
    *pieces, last = [piece async for piece in model.stream(HELLO, tools=TOOLS)]
    assert isinstance(last, Completion)
    assert "".join(map(str, pieces)) in {last.content, ""}
    return last


def delta(finish: str | None = None, **members: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": members, "finish_reason": finish}]}


def call(name: str | None = None, arguments: Any = None, **members: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**members, "function": function}


def calls(*entries: dict[str, Any]) -> dict[str, Any]:
    return delta(tool_calls=list(entries))


END = delta("tool_calls")
F, G = ("f", {"a": 1}), ("g", {"b": 2})


@dataclass(frozen=True)
class Row:
    """What comes, and what it is."""

    chunks: list[Any]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    text: str = ""
    ids: list[str] | None = None
    message: dict[str, Any] | None = None
    """The same as a whole message; None: put together from the fragments, which are whole calls."""
    reasoning: dict[str, Any] = field(default_factory=dict)


def message(*entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, **members, **({"tool_calls": list(entries)} if entries else {})}


FA, GB = call("f", '{"a":1}'), call("g", '{"b":2}')
ROWS: dict[str, Row] = {
    "OpenAI": Row(
        [
            delta(role="assistant", content=None),
            calls(call("f", "", index=0, id="c1", type="function")),
            calls(call(None, '{"a"', index=0)),
            calls(call(None, ":1}", index=0)),
            calls(call("g", "", index=1, id="c2")),
            calls(call(None, '{"b":2}', index=1)),
            END,
        ],
        [F, G],
        ids=["c1", "c2"],
        message=message({"id": "c1", **FA}, {"id": "c2", **GB}),
    ),
    "all of index 0, no id, each whole": Row([calls({"index": 0, **FA}), calls({"index": 0, **GB}), END], [F, G]),
    "all of index 0, no id, in one chunk": Row([calls({"index": 0, **FA}, {"index": 0, **GB}), END], [F, G]),
    "all of index 0, no id, the same tool twice": Row([calls({"index": 0, **FA})] * 2 + [END], [F, F]),
    "all of index 0, no id, in fragments": Row(
        [
            calls(call("f", "", index=0)),
            calls(call(None, '{"a"', index=0)),
            calls(call(None, ":1}", index=0)),
            calls(call("g", "", index=0)),
            calls(call(None, '{"b":', index=0)),
            calls(call(None, "2}", index=0)),
            END,
        ],
        [F, G],
        message=message({"index": 0, **FA}, {"index": 0, **GB}),
    ),
    "all of index 0, no id, the same tool twice in fragments": Row(
        [
            calls(call("f", '{"a"', index=0)),
            calls(call(None, ":1}", index=0)),
            calls(call("f", '{"a"', index=0)),
            calls(call(None, ":1}", index=0)),
            END,
        ],
        [F, F],
        message=message(FA, FA),
    ),
    "all of index 0, no arguments": Row(
        [calls(call("f", "", index=0)), calls(call("g", "", index=0)), END], [("f", {}), ("g", {})]
    ),
    "no arguments twice in one chunk": Row(
        [calls(call("f", "", index=0), call("f", "", index=0)), END], [("f", {})] * 2
    ),
    "an id on the first fragment alone, one index": Row(
        [
            calls(call("f", "", index=0, id="c1")),
            calls(call(None, '{"a":1}', index=0)),
            calls(call("g", "", index=0, id="c2")),
            calls(call(None, '{"b":2}', index=0)),
            END,
        ],
        [F, G],
        ids=["c1", "c2"],
        message=message({"id": "c1", **FA}, {"id": "c2", **GB}),
    ),
    "a new id before its name, one index": Row(
        [
            calls(call("f", '{"a":1}', index=0, id="c1")),
            calls(call(None, None, index=0, id="c2")),
            calls(call("g", '{"b":2}', index=0)),
            END,
        ],
        [F, G],
        ids=["c1", "c2"],
        message=message({"id": "c1", **FA}, {"id": "c2", **GB}),
    ),
    "one id for all calls": Row(
        [calls({"index": 0, "id": "x", **FA}), calls({"index": 1, "id": "x", **GB}), END], [F, G]
    ),
    "one id and one index for all calls": Row(
        [calls({"index": 0, "id": "x", **FA}), calls({"index": 0, "id": "x", **GB}), END], [F, G]
    ),
    "an empty id": Row([calls({"index": 0, "id": "", **FA}), calls({"index": 0, "id": "", **GB}), END], [F, G]),
    "another id with every fragment": Row(
        [
            calls(call("f", "", index=0, id="r1")),
            calls(call(None, '{"a"', index=0, id="r2")),
            calls(call(None, ":1}", index=0, id="r3")),
            END,
        ],
        [F],
        ids=["r1"],
        message=message({"id": "r1", **FA}),
    ),
    "another id and the name with every fragment": Row(
        [calls(call("f", '{"a"', index=0, id="r1")), calls(call("f", ":1}", index=0, id="r2")), END],
        [F],
        message=message({"id": "r1", **FA}),
    ),
    "an index of null": Row(
        [
            calls(call("f", '{"a"', index=None, id=None)),
            calls(call(None, ":1}", index=None, id=None)),
            calls({"index": None, **GB}),
            END,
        ],
        [F, G],
        message=message({"index": None, "id": None, **FA}, {"index": None, **GB}),
    ),
    "no index, an id with every fragment, interleaved": Row(
        [
            calls(call("f", '{"a"', id="c1"), call("g", '{"b"', id="c2")),
            calls(call(None, ":1}", id="c1"), call(None, ":2}", id="c2")),
            END,
        ],
        [F, G],
        message=message({"id": "c1", **FA}, {"id": "c2", **GB}),
    ),
    "an index that is text": Row([calls({"index": "0", **FA}), calls({"index": "1", **GB}), END], [F, G]),
    "an index that counts fragments": Row(
        [calls(call("f", '{"a"', index=0, id="c")), calls(call(None, ":1}", index=1)), END],
        [F],
        message=message({"index": 0, "id": "c", **FA}),
    ),
    "indexes from 1": Row([calls({"index": 1, **FA}), calls({"index": 2, **GB}), END], [F, G]),
    "a name in fragments": Row(
        [
            calls(call("get_", None, index=0)),
            calls(call("weather", None, index=0)),
            calls(call(None, "{}", index=0)),
            END,
        ],
        [("get_weather", {})],
        message=message(call("get_weather", "{}")),
    ),
    "the whole call again at its end": Row(
        [
            calls(call("f", '{"a"', index=0, id="c1")),
            calls(call(None, ":1}", index=0)),
            calls(call("f", '{"a":1}', index=0, id="c1")),
            END,
        ],
        [F],
        message=message({"id": "c1", **FA}),
    ),
    "a nameless, empty fragment at the end": Row(
        [calls({"index": 0, "id": "c", **FA}), calls(call(None, "", index=0)), END], [F], message=message(FA)
    ),
    "arguments as an object": Row(
        [calls(call("f", {"a": 1}, index=0)), calls(call("g", {"b": 2}, index=0)), END], [F, G]
    ),
    "arguments encoded twice": Row([calls(call("f", '"{\\"a\\":1}"', index=0)), END], [F]),
    "arguments of null": Row([calls({"index": 0, "function": {"name": "f", "arguments": None}}), END], [("f", {})]),
    "brackets and quotes within the arguments": Row(
        [
            calls(call("f", '{"a":"}\\', index=0)),
            calls(call(None, '"{["}', index=0)),
            calls(call("g", '{"b":2}', index=0)),
            END,
        ],
        [("f", {"a": '}"{['}), G],
        message=message(call("f", '{"a":"}\\"{["}'), GB),
    ),
    "empty arguments before the real ones": Row(
        [
            calls(call("f", "{}", index=0, id="c1")),
            calls(call(None, '{"a"', index=0)),
            calls(call(None, ":1}", index=0)),
            END,
        ],
        [F],
        message=message({"id": "c1", **FA}),
    ),
    "an empty object before the real one": Row(
        [calls(call("f", {}, index=0, id="c1")), calls(call(None, {"a": 1}, index=0)), END], [F], message=message(FA)
    ),
    "arguments as an object in parts": Row(
        [calls(call("f", {"a": 1}, index=0, id="c1")), calls(call(None, {"b": 2}, index=0)), END],
        [("f", {"a": 1, "b": 2})],
        message=message(call("f", {"a": 1, "b": 2})),
    ),
    "the arguments again, without the name": Row(
        [
            calls(call("f", '{"a"', index=0, id="c1")),
            calls(call(None, ":1}", index=0)),
            calls(call(None, '{"a":1}', index=0)),
            END,
        ],
        [F],
        message=message(FA),
    ),
    "the last chunk twice": Row([delta("tool_calls", tool_calls=[{"index": 0, **FA}])] * 2, [F], message=message(FA)),
    "the whole message after its fragments": Row(
        [
            delta(content="hi"),
            {"choices": [{"message": message({"id": "c1", **FA}, content="hi"), "finish_reason": "tool_calls"}]},
        ],
        [F],
        "hi",
        message=message({"id": "c1", **FA}, content="hi"),
    ),
    "arguments that PHP writes": Row(
        [calls(call("f", "[]", index=0), call("g", [], index=1)), END], [("f", {}), ("g", {})]
    ),
    "arguments of other names": Row(
        [
            delta(
                tool_calls=[
                    {"id": "c1", "name": "f", "input": {"a": 1}},
                    {"id": "c2", "name": "g", "parameters": {"b": 2}},
                ]
            ),
            END,
        ],
        [F, G],
    ),
    "a call without a list": Row([delta(tool_calls={"id": "c1", **FA}), END], [F], message=message({"id": "c1", **FA})),
    "calls numbered by an object": Row([delta(tool_calls={"0": FA, "1": GB}), END], [F, G], message=message(FA, GB)),
    "ids that are numbers, and nulls": Row(
        [{"choices": [None]}, delta(tool_calls=[None, {"index": 0, "id": 7, **FA}]), END],
        [F],
        ids=["7"],
        message=message({"id": 7, **FA}),
    ),
    "a name that grows": Row(
        [
            calls(call("get", None, index=0)),
            calls(call("get_weather", None, index=0)),
            calls(call(None, "{}", index=0)),
            END,
        ],
        [("get_weather", {})],
        message=message(call("get_weather", "{}")),
    ),
    "text and calls as two choices": Row(
        [
            {"choices": [{"delta": {"content": "hi"}}, {"delta": {"tool_calls": [FA]}, "finish_reason": "tool_calls"}]},
            END,
        ],
        [F],
        "hi",
        message=message(FA, content="hi"),
    ),
    "empty events, and another spelling of the end": Row(
        ["data:\n\n", "data: null\n\n", delta(content="hi"), 'data: "[done]"\n\n'],
        text="hi",
        message=message(content="hi"),
    ),
    "name and arguments beside the type": Row(
        [delta(tool_calls=[{"index": 0, "name": "f", "arguments": '{"a":1}'}]), END], [F]
    ),
    "the function call of old": Row(
        [
            delta(function_call={"name": "f", "arguments": ""}),
            delta(function_call={"arguments": '{"a":1}'}),
            delta("function_call"),
        ],
        [F],
        message=message(function_call={"name": "f", "arguments": '{"a":1}'}),
    ),
    "nulls and empty deltas": Row(
        [
            {"choices": []},
            {"choices": [{"index": 0, "delta": None, "finish_reason": None}], "usage": None, "error": None},
            delta(
                role="assistant",
                content=None,
                tool_calls=None,
                refusal=None,
                function_call=None,
                reasoning_content=None,
            ),
            delta(content="hi"),
            delta(),
            delta("stop", content=""),
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}},
        ],
        text="hi",
        message=message(content="hi", tool_calls=None, refusal=None, function_call=None),
    ),
    "the role with every chunk": Row(
        [delta(role="assistant", content="h"), delta("stop", role="assistant", content="i")],
        text="hi",
        message=message(content="hi"),
    ),
    "content in parts": Row(
        [delta("stop", content=[{"type": "text", "text": "hi"}, {"type": "thinking", "text": "hm"}])],
        text="hi",
        reasoning={"content": [{"type": "thinking", "text": "hm"}]},
    ),
    "a refusal": Row(
        [delta(refusal="I "), delta("stop", refusal="won't")], text="I won't", message=message(refusal="I won't")
    ),
    "another choice": Row(
        [{"choices": [{"index": 1, "delta": {"content": "no"}}]}, delta("stop", content="hi")],
        text="hi",
        message=message(content="hi"),
    ),
    "no [DONE]": Row([delta("stop", content="hi")], text="hi"),
    "no blank line at the end": Row(
        [delta(content="hi"), 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}'],
        text="hi",
        message=message(content="hi"),
    ),
    "[DONE] and no reason": Row([delta(content="hi"), "data: [DONE]\n\n"], text="hi", message=message(content="hi")),
    "lines that end in CRLF": Row(
        ['data: {"choices":[{"delta":{"content":"hi"}}]}\r\n\r\n', "data: [DONE]\r\n\r\n"],
        text="hi",
        message=message(content="hi"),
    ),
    "comments": Row(
        [": OPENROUTER PROCESSING\n\n", delta("stop", content="hi"), ":\n\n", "data: [DONE]\n\n"],
        text="hi",
        message=message(content="hi"),
    ),
    "a byte order mark": Row(["\ufeff", delta("stop", content="hi")], text="hi", message=message(content="hi")),
    "no blank lines between events": Row(
        [
            'data: {"choices":[{"delta":{"content":"h"}}]}\n'
            'data: {"choices":[{"delta":{"content":"i"},"finish_reason":"stop"}]}\n\n'
        ],
        text="hi",
        message=message(content="hi"),
    ),
    "a whole answer as the only event": Row(
        [
            {
                "choices": [
                    {"index": 0, "message": message({"id": "c1", **FA}, content="hi"), "finish_reason": "tool_calls"}
                ]
            },
            "data: [DONE]\n\n",
        ],
        [F],
        "hi",
    ),
    "characters of several bytes": Row([delta("stop", content="你好😀")], text="你好😀"),
    "half an emoji with each fragment": Row(
        [delta(content="\ud83d"), delta("stop", content="\ude00")], text="😀", message=message(content="\ud83d\ude00")
    ),
    "what was thought before a call": Row(
        [
            delta(reasoning_content="so "),
            delta(reasoning_content="be it", content=""),
            calls({"index": 0, "id": "c1", **FA}),
            END,
        ],
        [F],
        message=message(FA, reasoning_content="so be it"),
        reasoning={"reasoning_content": "so be it"},
    ),
    "details of what was thought": Row(
        [
            delta(reasoning="a", reasoning_details=[{"type": "reasoning.text", "text": "a", "index": 0}]),
            delta(
                reasoning="b", reasoning_details=[{"type": "reasoning.text", "text": "b", "index": 0, "signature": "s"}]
            ),
            delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "x", "index": 1}]),
            calls({"index": 0, **FA}),
            END,
        ],
        [F],
        message=message(
            FA,
            reasoning="ab",
            reasoning_details=[
                {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
                {"type": "reasoning.encrypted", "data": "x", "index": 1},
            ],
        ),
        reasoning={
            "reasoning": "ab",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
                {"type": "reasoning.encrypted", "data": "x", "index": 1},
            ],
        },
    ),
}


def put_together(chunks: Iterable[Any]) -> dict[str, Any]:
    """The message whose entries the chunks hold, for rows whose fragments are whole."""
    made: dict[str, Any] = {"role": "assistant", "content": None}
    for chunk in chunks:
        for choice in chunk["choices"] if isinstance(chunk, dict) else []:
            said = choice.get("delta", choice.get("message")) or {}
            for name, value in said.items():
                made[name] = made.get(name, []) + value if name == "tool_calls" else value
    return made


def answer_of(row: Row, form: str) -> Writes:
    """The row in one of its forms."""
    if form == "streamed":
        return streamed(row.chunks)
    if form == "byte by byte":
        text = b"".join(map(event, row.chunks))
        return sending(head_of("text/event-stream"), *(bytes([byte]) for byte in text))
    said = row.message if row.message is not None else put_together(row.chunks)
    reason = "tool_calls" if row.calls else "stop"
    return whole({"choices": [{"index": 0, "message": said, "finish_reason": reason}]})


@pytest.mark.parametrize("asked", ["stream", "whole"])
@pytest.mark.parametrize("form", ["streamed", "byte by byte", "whole"])
@pytest.mark.parametrize("name", ROWS)
async def test_every_answer_is_understood(name: str, form: str, asked: str) -> None:
    """In the form that was asked for, and in the other one, which some endpoints send all the same."""
    row = ROWS[name]
    async with asking(answer_of(row, form)) as (model, peer):
        found = await heard(model, stream=asked == "stream")
    assert [(one.name, one.arguments, one.fault) for one in found.tool_calls] == [(*one, None) for one in row.calls]
    assert len({one.id for one in found.tool_calls}) == len(row.calls)
    assert found.content == row.text
    assert found.reasoning == row.reasoning
    if row.ids is not None:
        assert [one.id for one in found.tool_calls] == row.ids
    assert len(peer.asked) == 1


# ── what is cut off ─────────────────────────────────────────────────────────────────────────────────────────────────

CUT_OFF: dict[str, list[dict[str, Any]]] = {
    "before its arguments": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}],
    "within its arguments": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a": "b'}}],
    "after its arguments": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}],
    "in the second call": [{"index": 0, "id": "c1", **FA}, {"index": 1, "id": "c2", "function": {"name": "g"}}],
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "reason",
    [
        "length",
        "content_filter",
        "max_tokens",
        "LENGTH",
        "model_length",
        "content_filter: RECITATION",
        "SAFETY",
        "MALFORMED_FUNCTION_CALL",
        "sensitive",
        "error",
        "insufficient_system_resource",
    ],
)
@pytest.mark.parametrize("where", CUT_OFF)
async def test_a_call_that_was_cut_off_has_a_fault(where: str, reason: str, stream: bool) -> None:
    entries = CUT_OFF[where]
    answer = streamed([calls(*entries), delta(reason), "data: [DONE]\n\n"])
    if not stream:
        answer = whole({"choices": [{"message": message(*entries), "finish_reason": reason}]})
    async with asking(answer) as (model, _):
        found = await heard(model, stream=stream)
    assert [one.id for one in found.tool_calls] == [entry["id"] for entry in entries]
    assert all(f"cut off ({reason.lower()})" in str(one.fault) for one in found.tool_calls)
    assert found.cut


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call", "tool_use", "end_turn", "eos", "STOP"])
async def test_a_call_of_an_answer_that_ended_has_none(reason: str) -> None:
    async with asking(streamed([calls({"index": 0, **FA}), delta(reason)])) as (model, _):
        found = await heard(model, stream=True)
    assert [one.fault for one in found.tool_calls] == [None]
    assert not found.cut


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_names_no_tool_has_a_fault_and_the_others_none(stream: bool) -> None:
    entries = [{"index": 0, "id": "c1", **call("", "{}")}, {"index": 1, "id": "c2", **GB}]
    answer = streamed([calls(*entries), END]) if stream else whole({"choices": [{"message": message(*entries)}]})
    async with asking(answer) as (model, _):
        found = await heard(model, stream=stream)
    assert [one.fault for one in found.tool_calls] == ["the call named no tool", None]


@pytest.mark.parametrize("choice", [{}, {"message": None}])
async def test_an_answer_of_which_a_filter_left_nothing_is_cut_off(choice: dict[str, Any]) -> None:
    async with asking(whole({"choices": [{**choice, "finish_reason": "content_filter"}]})) as (model, _):
        assert (await heard(model, stream=True)).cut


# ── errors under HTTP 200 ───────────────────────────────────────────────────────────────────────────────────────────

ERRORS: dict[str, tuple[Any, int, str]] = {
    "a number": ({"error": {"message": "slow down", "code": 429}}, 3, "HTTP 429"),
    "a number as text": ({"error": {"message": "slow down", "code": "429"}}, 3, "HTTP 429"),
    "in a list": ([{"error": {"code": 503, "message": "slow down", "status": "UNAVAILABLE"}}], 3, "HTTP 503"),
    "a kind": ({"error": {"message": "slow down", "type": "rate_limit_exceeded"}}, 3, "HTTP 429"),
    "a status": ({"error": {"message": "slow down", "status": "RESOURCE_EXHAUSTED"}}, 3, "HTTP 429"),
    "text": ({"error": "slow down"}, 3, "answered an error"),
    "text that tells": ({"error": "the server is overloaded, slow down"}, 3, "HTTP 503"),
    "an object of that kind": ({"object": "error", "message": "slow down", "code": 500}, 3, "HTTP 500"),
    "an event of that type": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "slow down"}},
        3,
        "HTTP 503",
    ),
    "a bare message": ({"message": "slow down", "code": 429}, 3, "HTTP 429"),
    "a detail": ({"detail": "slow down"}, 3, "answered an error"),
    "within a choice": (
        {"choices": [{"error": {"code": 502, "message": "slow down"}, "finish_reason": "error"}]},
        3,
        "HTTP 502",
    ),
    "a list of errors": ({"errors": [{"message": "slow down"}]}, 3, "answered an error"),
    "beside a choice": (
        {"error": {"code": 502, "message": "slow down"}, "choices": [{"delta": {}, "finish_reason": "error"}]},
        3,
        "HTTP 502",
    ),
    "a plain text": ("slow down", 3, "answered an error"),
    "no credit": ({"error": {"message": "slow down", "code": "insufficient_quota"}}, 1, "HTTP 402"),
    "no such model": ({"error": {"message": "slow down", "code": 404}}, 1, "HTTP 404"),
    "a request that is none": ({"error": {"message": "slow down", "type": "invalid_request_error"}}, 1, "HTTP 400"),
}


@pytest.mark.parametrize("form", ["first event", "named event", "event after an empty one", "body", "whole"])
@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_under_200_is_an_error(name: str, form: str) -> None:
    error, attempts, text = ERRORS[name]
    chunk = 'data: "slow down"\n\n' if isinstance(error, str) else error
    answers = {
        "first event": streamed([chunk]),
        "named event": streamed(["event: error\n", chunk]),
        "event after an empty one": streamed([delta(role="assistant", content=""), chunk]),
        "body": whole(error),
        "whole": whole(error),
    }
    async with asking(answers[form]) as (model, peer):
        with pytest.raises(ModelError, match=text) as failed:
            await (heard(model, stream=form != "whole") if attempts == 3 else model.complete(HELLO))
    assert "slow down" in failed.value.said
    assert "slow down" not in str(failed.value)
    assert len(peer.asked) == attempts


@pytest.mark.parametrize("stream", [True, False])
async def test_what_was_an_error_for_a_moment_is_answered_then(stream: bool) -> None:
    busy = whole({"error": {"message": "slow down", "code": 429}})
    starts = streamed([delta(reasoning_content="hm"), calls(call("f", "", index=0)), {"error": {"code": 503}}])
    fine = streamed([delta("stop", content="hi")])
    async with asking(in_turn(busy, starts, fine)) as (model, peer):
        assert (await heard(model, stream=stream)).content == "hi"
    assert len(peer.asked) == 3


async def test_an_error_after_a_part_of_the_answer_is_told_and_not_tried_again() -> None:
    async with asking(streamed([delta(content="half"), {"error": {"code": 429, "message": "slow"}}])) as (model, peer):
        with pytest.raises(ModelError, match="failed in the middle"):
            await heard(model, stream=True)
    assert len(peer.asked) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_key_that_is_refused_under_200_is_told_apart(stream: bool) -> None:
    async with asking(whole({"error": {"message": "no", "code": 401}})) as (model, peer):
        with pytest.raises(ModelDenied):
            await heard(model, stream=stream)
    assert len(peer.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"code": 429, "message": "slow", "retry_after": 3600}},
        [{"error": {"code": 429, "message": "slow", "details": [{"@type": "RetryInfo", "retryDelay": "3600s"}]}}],
    ],
)
async def test_an_error_that_wants_too_long_a_pause_is_told_at_once(error: Any) -> None:
    async with asking(whole(error)) as (model, peer):
        with pytest.raises(ModelError, match="HTTP 429"):
            await heard(model, stream=True)
    assert len(peer.asked) == 1


ERROR_EVENTS: dict[str, tuple[str, int, str]] = {
    "plain text": ("slow down", 3, "answered an error"),
    "words that tell": ("the server is overloaded, slow down", 3, "HTTP 503"),
    "JSON of no known form": ('{"reason":"slow down"}', 3, "answered an error"),
    "JSON": ('{"error":{"message":"slow down","code":429}}', 3, "HTTP 429"),
}


@pytest.mark.parametrize("end", ["\n\n", ""])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ERROR_EVENTS)
async def test_an_event_that_is_named_an_error_is_one(name: str, stream: bool, end: str) -> None:
    """Whatever its data is, with or without the blank line behind it."""
    data, attempts, text = ERROR_EVENTS[name]
    async with asking(streamed([f"event: error\ndata: {data}{end}"])) as (model, peer):
        with pytest.raises(ModelError, match=text) as failed:
            await heard(model, stream=stream)
    assert "slow down" in failed.value.said
    assert len(peer.asked) == attempts


# ── streams that don't announce their end ───────────────────────────────────────────────────────────────────────────

TEXT_ONLY: list[Any] = [delta(role="assistant", content="h"), delta(content="i")]
WHOLE_CALL: list[Any] = [calls(call("f", '{"a":', index=0, id="1")), calls(call(arguments="1}", index=0))]
HALF_CALL: list[Any] = WHOLE_CALL[:1]
HALF_EVENT: list[Any] = [*TEXT_ONLY, 'data: {"choices": [{"delta": {"con']


def framed(chunks: Iterable[Any], form: str) -> Writes:
    """The events with their end as HTTP tells it; of a body that is cut the end is missing."""
    pieces = [event(one) for one in chunks]
    if form in {"length", "cut length"}:
        size = sum(map(len, pieces)) + (5 if form == "cut length" else 0)
        return sending(head_of("text/event-stream", Content_Length=str(size)), *pieces)
    body = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    last = [b"0\r\n\r\n"] if form == "chunked" else []
    return sending(head_of("text/event-stream", Transfer_Encoding="chunked"), *body, *last)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("form", ["length", "chunked"])
async def test_a_body_that_is_whole_is_an_answer_though_no_end_was_announced(form: str, stream: bool) -> None:
    async with asking(framed(TEXT_ONLY, form)) as (model, peer):
        found = await heard(model, stream=stream)
    assert (found.content, found.tool_calls, found.finish_reason) == ("hi", (), "stop")
    async with asking(framed(WHOLE_CALL, form)) as (model, peer):
        found = await heard(model, stream=stream)
    assert [(one.name, one.arguments) for one in found.tool_calls] == [("f", {"a": 1})]
    assert (found.finish_reason, len(peer.asked)) == ("tool_calls", 1)


CUT_BODIES: dict[str, tuple[list[Any], str]] = {
    "a chunked body": (TEXT_ONLY, "cut"),
    "a body of a length": (TEXT_ONLY, "cut length"),
    "half a call": (HALF_CALL, "chunked"),
    "half an event": (HALF_EVENT, "chunked"),
    "thoughts alone": ([delta(reasoning_content="hm")], "length"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", CUT_BODIES)
async def test_a_body_that_is_cut_is_none(name: str, stream: bool) -> None:
    chunks, form = CUT_BODIES[name]
    async with asking(framed(chunks, form)) as (model, _):
        with pytest.raises(ModelError, match="broke"):
            await heard(model, stream=stream)


# ── what is no answer ───────────────────────────────────────────────────────────────────────────────────────────────

PAGE = b"<!DOCTYPE html><html>no</html>"
NO_ANSWERS: dict[str, tuple[Writes, int, str]] = {
    "a web page": (sending(head_of("text/html"), PAGE), 1, "a web page: check BASE_URL"),
    "a web page as an event stream": (sending(head_of("text/event-stream"), PAGE), 1, "a web page: check BASE_URL"),
    "nothing": (sending(head_of("text/event-stream")), 3, "broke off"),
    "no content": (sending(head_of("text/plain", "204 No Content", Content_Length="0")), 1, "HTTP 204"),
    "elsewhere": (sending(head_of("text/plain", "307 Temporary Redirect", Location="/v2")), 1, "set BASE_URL"),
    "broken JSON": (sending(head_of("application/json"), b'{"choices": [{"mess'), 1, "no chat completion"),
    "a number": (sending(head_of("application/json"), b"5"), 1, "no chat completion"),
    "deep nesting": (sending(head_of("application/json"), b'{"a":' * 50_000), 1, "no chat completion"),
    "compressed": (sending(head_of("application/json", Content_Encoding="gzip"), b"\x1f\x8b\x08"), 1, "can't be read"),
    "a line without end": (sending(head_of("text/event-stream"), b"data: ", *[b"x" * 65_536] * 17), 1, "more at once"),
    "cut off within a character": (
        sending(head_of("text/event-stream"), b'data: {"choices":[{"delta":{"content":"\xe4'),
        3,
        "broke off",
    ),
    "no HTTP": (sending(b"hello\r\n\r\n"), 3, "broke"),
    "half a head": (sending(b"HTTP/1.1 200 OK\r\nContent-"), 3, "broke"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_what_is_no_answer_is_told(name: str, stream: bool) -> None:
    answer, attempts, text = NO_ANSWERS[name]
    async with asking(answer) as (model, peer):
        with pytest.raises(ModelError, match=text):
            await heard(model, stream=stream)
    assert len(peer.asked) == attempts


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_says_nothing_for_ever_is_given_up(stream: bool) -> None:
    """Empty chunks are no more than comments are."""

    async def drip(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(head_of("text/event-stream"))
        while not writer.is_closing():
            writer.write(event(delta(content="")))
            await writer.drain()
            await asyncio.sleep(0.01)  # the pace of the chunks; nothing waits for it

    async with asking(drip, answer=0.5) as (model, _):
        with pytest.raises(ModelError, match=r"0\.5 seconds"):
            await heard(model, stream=stream)


async def test_an_answer_without_end_is_given_up() -> None:
    async def drip(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(head_of("text/event-stream"))
        while not writer.is_closing():
            writer.write(event(delta(content="a")))
            await writer.drain()
            await asyncio.sleep(0.01)  # as above

    async with asking(drip, stream=0.5) as (model, _):
        with pytest.raises(ModelError, match=r"did not end its answer within 0\.5 seconds"):
            await heard(model, stream=True)


async def test_arguments_in_very_many_fragments_are_put_together() -> None:
    fragments = [calls(call("f", '{"a":"', index=0, id="c"))]
    fragments += [calls(call("f", "x", index=0, id="c"))] * 5_000
    stream = b"".join(map(event, [*fragments, calls(call(None, '"}', index=0)), END]))
    async with asking(sending(head_of("text/event-stream"), stream)) as (model, _):
        (found,) = (await heard(model, stream=True)).tool_calls
    assert found.arguments == {"a": "x" * 5_000}

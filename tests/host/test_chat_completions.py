"""The chat completions format: what we send is what the format asks for, what we read may differ in small things."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.host.call_assembly import MAX_TOOL_CALLS
from mcpkit.host.chat_completions import request_body
from mcpkit.host.completion_reader import CompletionReader, read_completion
from mcpkit.host.model import ChatMessage, Completion, ModelError, ToolCall, ToolOffer, Usage, Wishes

ASKED = "asked-1"


def body(**changes: Any) -> Any:
    messages = [ChatMessage("user", "hello")]
    return json.loads(request_body(ASKED, messages, (), Wishes(), stream=False)) | changes


def test_a_question_holds_the_model_and_the_messages() -> None:
    assert body() == {"model": ASKED, "messages": [{"role": "user", "content": "hello"}]}


def test_tools_wishes_and_streaming_are_asked_for_only_when_wanted() -> None:
    tool = ToolOffer("add", "Add two numbers.", {"type": "object"})
    wishes = Wishes(max_tokens=5, temperature=0.0, stop=("end",))
    asked = json.loads(request_body(ASKED, [], [tool], wishes, stream=True))
    assert asked == {
        "model": ASKED,
        "messages": [],
        "tools": [
            {
                "type": "function",
                "function": {"name": "add", "description": "Add two numbers.", "parameters": {"type": "object"}},
            }
        ],
        "max_tokens": 5,
        "temperature": 0.0,
        "stop": ["end"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_tool_call_and_its_result_are_told_back() -> None:
    call = ToolCall("c1", "add", {"a": 5, "b": "三"})
    messages = [ChatMessage("assistant", tool_calls=(call,)), ChatMessage("tool", "8", tool_call_id="c1")]
    assistant, tool = json.loads(request_body(ASKED, messages, (), Wishes(), stream=False))["messages"]
    assert assistant["content"] is None
    assert assistant["tool_calls"][0]["id"] == "c1"
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"a": 5, "b": "三"}
    assert tool == {"role": "tool", "content": "8", "tool_call_id": "c1"}


def answer(message: Any, **changes: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], **changes}).encode()


def called(name: str = "add", arguments: Any = "{}", **changes: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}, **changes}


def test_a_whole_answer_is_read() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    found = read_completion(answer({"content": "hi"}, model="real-1", usage=usage), ASKED)
    assert found == Completion("hi", "real-1", (), Usage(3, 4, 7), "stop")


@pytest.mark.parametrize(
    ("changes", "usage"),
    [
        ({}, Usage(0, 0, 0)),
        ({"usage": None}, Usage(0, 0, 0)),
        ({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}, Usage(3, 4, 7)),
        ({"usage": {"prompt_tokens": "x", "completion_tokens": -4}}, Usage(0, 0, 0)),
    ],
)
def test_tokens_that_were_not_counted_are_not_made_up(changes: dict[str, Any], usage: Usage) -> None:
    found = read_completion(answer({"content": "hi"}, **changes), ASKED)
    assert (found.usage, found.model) == (usage, ASKED)


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, ""), ("", ""), ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, 5], "ab")],
)
def test_content_may_be_null_or_parts(content: Any, text: str) -> None:
    assert read_completion(answer({"content": content}), ASKED).content == text


@pytest.mark.parametrize(
    ("arguments", "read", "fault"),
    [
        ('{"a": 1}', {"a": 1}, None),
        ({"a": 1}, {"a": 1}, None),
        ("", {}, None),
        (None, {}, None),
        ('{"a": 1', {}, "the arguments were not valid JSON"),
        ('{"a": NaN}', {}, "the arguments were not valid JSON"),
        ("[1]", {}, "the arguments must be a JSON object"),
    ],
)
def test_arguments_are_read_or_their_fault_is_told(arguments: Any, read: dict[str, Any], fault: str | None) -> None:
    (call,) = read_completion(answer({"tool_calls": [called(arguments=arguments)]}), ASKED).tool_calls
    assert call == ToolCall("c1", "add", read, fault)


def test_a_call_without_an_id_gets_one() -> None:
    calls = read_completion(answer({"tool_calls": [called(id=None), called(id="", index=0)]}), ASKED).tool_calls
    assert [call.id for call in calls] == ["call_0", "call_1"]


@pytest.mark.parametrize(
    "garbled",
    [
        b"",
        b"<html>bad gateway</html>",
        b"\xff",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [5]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": "hi"}]}',
        b'{"choices": [{"message": {}}]}',
        answer({"content": 5}),
        answer({"tool_calls": [5]}),
        answer({"tool_calls": [{"function": "add"}]}),
        answer({"tool_calls": [called(id=str(number)) for number in range(MAX_TOOL_CALLS + 1)]}),
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_a_model_error(garbled: bytes) -> None:
    with pytest.raises(ModelError):
        read_completion(garbled, ASKED)


@pytest.mark.parametrize(
    ("name", "sent"), [("math.add", "math_add"), ("计算 x", "___x"), ("a" * 80, "a" * 64), ("", "unnamed")]
)
def test_a_name_that_the_model_made_up_goes_back_as_endpoints_take_it(name: str, sent: str) -> None:
    said = ChatMessage("assistant", tool_calls=(ToolCall("c1", name, {}),))
    (message,) = json.loads(request_body(ASKED, [said], [], Wishes(), stream=False))["messages"]
    assert message["tool_calls"][0]["function"]["name"] == sent


# ── streamed ────────────────────────────────────────────────────────────────────────────────────────────────────────


def chunk(delta: Any = None, finish: str | None = None, **changes: Any) -> str:
    return json.dumps({"choices": [{"delta": delta or {}, "finish_reason": finish}], **changes})


def read(*data: str) -> Completion:
    reader = CompletionReader(ASKED)
    for one in data:
        reader.feed(one)
    return reader.finished()


def fragment(arguments: str, **changes: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "function": {"arguments": arguments}, **changes}]}


def test_pieces_of_text_are_given_as_they_come() -> None:
    reader = CompletionReader(ASKED)
    assert [reader.feed(chunk({"content": piece})) for piece in ("你", "", "好")] == ["你", "", "好"]
    reader.feed(chunk(finish="stop", model="real-1"))
    reader.feed('{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}')
    reader.feed(" [DONE] ")
    assert reader.done
    assert reader.finished() == Completion("你好", "real-1", (), Usage(1, 2, 3), "stop")


def test_arguments_come_in_fragments() -> None:
    first = {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "add", "arguments": ""}}]}
    found = read(chunk(first), *(chunk(fragment(piece)) for piece in ('{"a"', ": 5", "}")), chunk(finish="tool_calls"))
    assert found.tool_calls == (ToolCall("c1", "add", {"a": 5}),)
    assert found.finish_reason == "tool_calls"


def test_parallel_calls_may_be_interleaved() -> None:
    def part(index: int, text: str, **changes: Any) -> str:
        function = {"arguments": text, **changes}
        return chunk({"tool_calls": [{"index": index, "id": f"c{index}", "function": function}]})

    found = read(part(0, "{", name="add"), part(1, "{", name="sub"), part(0, "}"), part(1, '"x":1}'), "[DONE]")
    assert [(call.name, call.arguments) for call in found.tool_calls] == [("add", {}), ("sub", {"x": 1})]


def test_a_new_id_under_an_old_index_is_a_new_call() -> None:
    """Some servers send every call with index 0."""
    found = read(
        *(chunk(fragment("{}", id=f"c{n}", function={"name": "f", "arguments": "{}"})) for n in (1, 2)), "[DONE]"
    )
    assert [call.id for call in found.tool_calls] == ["c1", "c2"]


def test_fragments_without_an_index_belong_to_the_call_underway() -> None:
    def part(**changes: Any) -> str:
        return chunk({"tool_calls": [changes]})

    found = read(
        part(id="c1", function={"name": "f", "arguments": '{"a"'}),
        part(function={"arguments": ":1}"}),
        part(id="c2", function={"name": "g", "arguments": "{}"}),
        "[DONE]",
    )
    assert [(call.id, call.arguments) for call in found.tool_calls] == [("c1", {"a": 1}), ("c2", {})]


def function(name: str | None, arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


CALLS_F = [("f", {"a": 1})]
DIALECTS: dict[str, tuple[list[str], str, list[tuple[str, dict[str, Any]]], str]] = {
    "DeepSeek thinks first": (
        [
            chunk({"role": "assistant", "content": None, "reasoning_content": "hm"}, usage=None),
            chunk({"content": "hi", "reasoning_content": None}, usage=None),
            chunk({"content": ""}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
            "[DONE]",
        ],
        "hi",
        [],
        "stop",
    ),
    "Ollama: whole calls, all of index 0, and the reason stop": (
        [
            chunk({"content": "", "tool_calls": [{"index": 0, "id": "x", "function": function("f", '{"a":1}')}]}),
            chunk({"content": "", "tool_calls": [{"index": 0, "id": "y", "function": function("f", '{"a":1}')}]}),
            chunk({"content": ""}, "stop"),
            "[DONE]",
        ],
        "",
        CALLS_F * 2,
        "stop",
    ),
    "vLLM: an empty delta, the name once, then arguments, a reason, no usage": (
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
            chunk({}, "tool_calls", usage=None),
            "[DONE]",
        ],
        "",
        CALLS_F,
        "tool_calls",
    ),
    "neither id nor index: whole calls in one fragment": (
        [
            chunk({"tool_calls": [{"function": function("f", {"a": 1})}, {"function": function("g", "")}]}),
            chunk({"tool_calls": [{"function": function("g", "")}]}, "tool_calls"),
        ],
        "",
        [*CALLS_F, ("g", {}), ("g", {})],
        "tool_calls",
    ),
    "neither id nor index: arguments in fragments": (
        [
            chunk({"tool_calls": [{"function": function("f", '{"a"')}]}),
            chunk({"tool_calls": [{"function": function(None, ":1}")}]}),
            chunk(finish="tool_calls"),
        ],
        "",
        CALLS_F,
        "tool_calls",
    ),
    "the name in every fragment": (
        [
            chunk({"tool_calls": [{"index": 0, "id": "c", "function": function("f", '{"a"')}]}),
            chunk({"tool_calls": [{"index": 0, "id": "c", "function": function("f", ":1}")}]}),
            chunk(finish="tool_calls"),
        ],
        "",
        CALLS_F,
        "tool_calls",
    ),
    "the old reason, and nulls wherever they may be": (
        [
            chunk({"role": None, "content": None, "tool_calls": None}, None, usage=None, model=None, error=None),
            json.dumps({"choices": [{"delta": None, "finish_reason": None}]}),
            chunk({"tool_calls": [{"index": 0, "id": None, "function": function("f", '{"a":1}')}]}, "function_call"),
        ],
        "",
        CALLS_F,
        "function_call",
    ),
    "an empty reason with every fragment": (
        [chunk({"content": "h"}, ""), chunk({"content": "i"}, ""), chunk(finish="length")],
        "hi",
        [],
        "length",
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_understood(dialect: str) -> None:
    data, text, calls, reason = DIALECTS[dialect]
    found = read(*data)
    assert (found.content, found.finish_reason) == (text, reason)
    assert [(call.name, call.arguments) for call in found.tool_calls] == calls
    assert len({call.id for call in found.tool_calls}) == len(calls)


def test_an_empty_reason_is_no_end() -> None:
    with pytest.raises(ModelError, match="broke off"):
        read(chunk({"content": "h"}, ""))


@pytest.mark.parametrize(
    "data",
    [
        ["not json"],
        ["5"],
        [""],
        ['{"error": {"message": "overloaded, key sk-secret"}}'],
        ['{"choices": "x"}'],
        [chunk({"content": 7})],
        [chunk({"content": "half an"})],
        [chunk(fragment("{", id="c", function={"name": "f", "arguments": "{"}))],
        [],
    ],
)
def test_a_broken_stream_is_a_model_error_that_repeats_nothing(data: list[str]) -> None:
    with pytest.raises(ModelError) as broken:
        read(*data)
    assert "secret" not in str(broken.value)


def test_a_stream_that_ends_with_a_reason_needs_no_done() -> None:
    assert read(chunk({"content": "hi"}), chunk(finish="length")).finish_reason == "length"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)
KEYS = st.sampled_from(["choices", "delta", "message", "content", "tool_calls", "function", "usage", "error", "index"])


@given(st.recursive(JSON, lambda x: st.dictionaries(KEYS, x | st.lists(x, max_size=2), max_size=4), max_leaves=20))
def test_any_json_is_read_or_a_model_error(value: Any) -> None:
    readings: list[Callable[[], Completion]] = [
        lambda: read_completion(json.dumps(value).encode(), ASKED),
        lambda: read(json.dumps(value), "[DONE]"),
    ]
    for reading in readings:
        try:
            reading()
        except ModelError:
            continue


# ── any dialect ─────────────────────────────────────────────────────────────────────────────────────────────────────

NAMES = ("f", "g", "get", "get_weather")
ARGUMENTS = st.sampled_from([{}, {"a": 1}, {"a": '}"{\\['}, {"x": {"y": [1, {"z": "é"}]}}, {"q": "你好"}])
INDEXES: dict[str, Callable[[int], dict[str, Any]]] = {
    "own": lambda number: {"index": number},
    "from 1": lambda number: {"index": number + 1},
    "text": lambda number: {"index": str(number)},
    "zero": lambda number: {"index": 0},
    "null": lambda number: {"index": None},
    "missing": lambda number: {},
}
IDS: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "first": lambda number, part: {"id": f"c{number}"} if part == 0 else {},
    "every": lambda number, part: {"id": f"c{number}"},
    "another": lambda number, part: {"id": f"c{number}-{part}"},
    "empty": lambda number, part: {"id": ""},
    "null": lambda number, part: {"id": None},
    "none": lambda number, part: {},
}


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), ARGUMENTS), min_size=1, max_size=5),
    st.sampled_from([*INDEXES]),
    st.sampled_from([*IDS]),
    st.sampled_from(["once", "always"]),
    st.sampled_from([0, 1, 3, 1000]),
)
def test_calls_are_told_apart_in_any_dialect(
    calls: list[tuple[str, dict[str, Any]]], index: str, ids: str, names: str, size: int
) -> None:
    """Pieces of ``size`` characters; 0: a head without arguments, then all of them."""
    if ids == "another" and (names == "always" or index in {"null", "missing"}):
        return  # then nothing at all would tell where a call begins
    reader = CompletionReader(ASKED, NAMES)
    for number, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments, ensure_ascii=False)
        pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else ["", text]
        for part, piece in enumerate(pieces):
            named = {"name": name} if part == 0 or names == "always" else {}
            entry = {**INDEXES[index](number), **IDS[ids](number, part), "function": {**named, "arguments": piece}}
            reader.feed(chunk({"tool_calls": [entry]}))
    reader.feed("[DONE]")
    found = reader.finished().tool_calls
    assert [(call.name, call.arguments, call.fault) for call in found] == [(*call, None) for call in calls]
    assert len({call.id for call in found}) == len(calls)

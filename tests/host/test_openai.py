"""A model over HTTP, against a scripted server in its own process: answers, streams, and every way to fail.

What is told of a failure holds neither the key nor anything that the endpoint said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from mcpkit.host import completion_reader, openai
from mcpkit.host.model import ChatMessage, Completion, ModelDenied, ModelError, ToolCall, ToolOffer, Usage, Wishes
from mcpkit.host.openai import OpenAIModel, Persistence, Refused, find_local_model
from tests.fixtures.scripted_peer import ScriptedModel

KEY = "sk-very-secret"
HELLO = [ChatMessage("user", "hello")]
ADD = ToolOffer("server0_add", "Add.", {"type": "object"})


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
async def model(peer: ScriptedModel, pauses: list[float]) -> AsyncIterator[OpenAIModel]:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    model = OpenAIModel(peer.base_url, "asked-1", KEY, pause=pause)
    yield model
    await model.close()


async def heard(model: OpenAIModel, **options: Any) -> tuple[list[str], Completion]:
    *pieces, last = [piece async for piece in model.stream(HELLO, **options)]
    assert isinstance(last, Completion)
    return [piece for piece in pieces if isinstance(piece, str)], last


async def test_a_question_is_answered(model: OpenAIModel, peer: ScriptedModel) -> None:
    peer.script({"say": "hi there"})
    assert await model.complete(HELLO) == Completion("hi there", "scripted-1", (), Usage(11, 7, 18), "stop")
    (asked,) = peer.asked
    assert asked["headers"]["authorization"] == f"Bearer {KEY}"
    assert asked["body"] == {"model": "asked-1", "messages": [{"role": "user", "content": "hello"}]}


async def test_an_endpoint_without_a_key_gets_none(peer: ScriptedModel) -> None:
    peer.script({"say": "hi"})
    model = OpenAIModel(f"{peer.base_url}/chat/completions/", "m")
    assert (await model.complete(HELLO)).content == "hi"
    await model.close()
    assert "authorization" not in peer.asked[0]["headers"]


async def test_a_streamed_answer_comes_in_pieces_and_then_whole(model: OpenAIModel, peer: ScriptedModel) -> None:
    peer.script({"say": ["你", "好", "!"]})
    pieces, whole = await heard(model)
    assert pieces == ["你", "好", "!"]
    assert whole == Completion("你好!", "scripted-1", (), Usage(11, 7, 18), "stop")


@pytest.mark.parametrize("stream", [False, True])
async def test_tool_calls_arrive_whole(model: OpenAIModel, peer: ScriptedModel, stream: bool) -> None:
    call = [
        {"name": "server0_add", "arguments": {"a": 5, "b": 3}},
        {"name": "other", "arguments": "{broken", "id": "x"},
    ]
    peer.script({"say": "let me see", "call": call})
    answer = (await heard(model, tools=[ADD]))[1] if stream else await model.complete(HELLO, tools=[ADD])
    assert answer.content == "let me see"
    assert answer.tool_calls == (
        ToolCall("call_0", "server0_add", {"a": 5, "b": 3}),
        ToolCall("x", "other", {}, "the arguments were not valid JSON"),
    )


async def test_the_whole_dialogue_of_a_sum(model: OpenAIModel) -> None:
    """Without a script the peer does sums: the model's half of 计算 5 加 3."""
    question = ChatMessage("user", "计算 5 加 3")
    asking = await model.complete([question], tools=[ADD])
    (call,) = asking.tool_calls
    assert (call.name, call.arguments) == ("server0_add", {"a": 5, "b": 3})
    told = [question, ChatMessage("assistant", tool_calls=(call,)), ChatMessage("tool", "8", tool_call_id=call.id)]
    assert "8" in (await model.complete(told, tools=[ADD])).content


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_fails_for_a_moment_is_tried_again(
    model: OpenAIModel, peer: ScriptedModel, pauses: list[float], status: int
) -> None:
    peer.script({"status": status}, {"status": status}, {"say": "at last"})
    assert (await model.complete(HELLO)).content == "at last"
    assert len(peer.asked) == 3
    assert 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1.0


async def test_a_stream_is_tried_again_before_it_begins(model: OpenAIModel, peer: ScriptedModel) -> None:
    peer.script({"status": 503}, {"say": ["a", "b"]})
    assert (await heard(model))[0] == ["a", "b"]


async def test_retry_after_is_honoured(model: OpenAIModel, peer: ScriptedModel, pauses: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=5), usegmt=True)
    peer.script({"status": 429, "retry_after": "7"}, {"status": 429, "retry_after": date}, {"say": "ok"})
    assert (await model.complete(HELLO)).content == "ok"
    assert pauses == [7.0, 0.0]


async def test_an_endpoint_that_wants_too_long_a_pause_is_not_asked_again(
    model: OpenAIModel, peer: ScriptedModel, pauses: list[float]
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    for retry_after in ("3600", date):
        peer.script({"status": 429, "retry_after": retry_after}, {"say": "never"})
        with pytest.raises(ModelError, match="try again later"):
            await model.complete(HELLO)
        assert len(peer.asked) == 1
    assert pauses == []


@pytest.mark.parametrize("retry_after", ["soon", "²", "", "Wed, 99 Nov 2026 00:00:00 GMT"])
async def test_a_retry_after_that_says_nothing_is_ignored(
    model: OpenAIModel, peer: ScriptedModel, pauses: list[float], retry_after: str
) -> None:
    peer.script({"status": 503, "retry_after": retry_after.encode("utf-8").decode("latin-1")}, {"say": "ok"})
    assert (await model.complete(HELLO)).content == "ok"
    assert 0.25 <= pauses[0] <= 0.5


@pytest.mark.parametrize(
    ("status", "attempts", "message"),
    [
        (400, 1, "does not accept the request"),
        (401, 1, "check API_KEY"),
        (403, 1, "check API_KEY"),
        (404, 1, "check BASE_URL and MODEL_NAME"),
        (302, 1, "HTTP 302"),
        (418, 1, "HTTP 418"),
        (429, 3, "try again later"),
        (500, 3, "HTTP 500"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_names_the_next_step_and_nothing_secret(
    model: OpenAIModel, peer: ScriptedModel, status: int, attempts: int, message: str, stream: bool
) -> None:
    leak = {"error": {"message": f"bad key {KEY}, internal host 10.0.0.7"}}
    peer.script(*[{"status": status, "body": leak}] * 3)
    with pytest.raises(Refused, match=message) as refused:
        await (heard(model) if stream else model.complete(HELLO))
    assert KEY not in str(refused.value)
    assert "10.0.0.7" not in str(refused.value)
    assert len(peer.asked) == attempts


@pytest.mark.parametrize(
    "step",
    [
        {"json": "<html>"},
        {"json": {"choices": []}},
        {"json": [KEY]},
        {"json": "x" * (openai.MAX_BODY_BYTES + 1)},
    ],
)
async def test_a_garbled_answer_is_told_once(model: OpenAIModel, peer: ScriptedModel, step: dict[str, Any]) -> None:
    peer.script(step, {"say": "never"})
    with pytest.raises(ModelError) as garbled:
        await model.complete(HELLO)
    assert KEY not in str(garbled.value)
    assert len(peer.asked) == 1


HALF = 'data: {"choices": [{"delta": {"content": "half"}}]}\n\n'


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"raw": [HALF, "data: {broken\n\n"]}, "no chat completion"),
        ({"raw": [HALF, "data: 5\n\n"]}, "no chat completion"),
        ({"raw": [HALF, 'data: {"error": {"message": "sk-very-secret"}}\n\n']}, "failed in the middle"),
        ({"raw": [HALF]}, "broke off in the middle"),
        ({"raw": [HALF, "data: x" + "x" * completion_reader.MAX_EVENT_BYTES]}, "more at once than fits"),
        ({"say": ["half"], "end": "close"}, "broke off in the middle"),
        ({"say": ["half"], "end": "reset"}, "broke"),
    ],
)
async def test_a_stream_that_breaks_is_told_after_what_came(
    model: OpenAIModel, peer: ScriptedModel, step: dict[str, Any], message: str
) -> None:
    peer.script(step, {"say": "never"})
    pieces: list[Any] = []

    async def listen() -> None:
        async for piece in model.stream(HELLO):
            pieces.append(piece)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(ModelError, match=message) as broken:
        await listen()
    assert KEY not in str(broken.value)
    assert pieces == ["half"]
    assert len(peer.asked) == 1


async def test_comments_and_unknown_fields_in_a_stream_mean_nothing(model: OpenAIModel, peer: ScriptedModel) -> None:
    peer.script({"raw": [": ping\n\n", "event: x\nid: 5\n" + HALF, "data: [DONE]\n\n", "data: {after the end\n\n"]})
    assert (await heard(model))[1].content == "half"


async def test_an_endpoint_that_can_not_stream_answers_at_once(model: OpenAIModel, peer: ScriptedModel) -> None:
    peer.script({"json": {"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}})
    pieces, answer = await heard(model)
    assert pieces == ["whole"]
    assert answer.content == "whole"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_endpoint_that_does_not_answer_is_given_up(peer: ScriptedModel, stream: bool) -> None:
    peer.script({"hang": True}, {"say": "never"})
    model = OpenAIModel(peer.base_url, "m", persistence=Persistence(answer=0.2))
    with pytest.raises(ModelError, match=r"within 0\.2 seconds"):
        await (heard(model) if stream else model.complete(HELLO))
    await model.close()
    assert len(peer.asked) <= 1  # a slow machine may not have sent it by then; a second one is never sent


async def test_a_stream_that_falls_silent_is_given_up() -> None:
    given_up = asyncio.Event()

    async def fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + HALF.encode())
        await reader.read()
        writer.close()
        await writer.wait_closed()
        given_up.set()

    async with await asyncio.start_server(fall_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = OpenAIModel(f"http://127.0.0.1:{port}", "m", persistence=Persistence(silence=0.2))
        with pytest.raises(ModelError, match=r"silent for 0\.2 seconds"):
            await heard(model)
        await model.close()
        await asyncio.wait_for(given_up.wait(), 10)


async def test_a_stream_of_comments_alone_is_given_up() -> None:
    given_up = asyncio.Event()

    async def keep_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        leaving = asyncio.create_task(reader.read())
        while not leaving.done():
            writer.write(b": still thinking\n\n")
            await asyncio.wait([leaving], timeout=0.01)  # the pace of the comments; nothing waits for it
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        given_up.set()

    async with await asyncio.start_server(keep_open, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        model = OpenAIModel(f"http://127.0.0.1:{port}", "m", persistence=Persistence(answer=1.0))
        with pytest.raises(ModelError, match="said nothing for 1 seconds"):
            await heard(model)
        await model.close()
        await asyncio.wait_for(given_up.wait(), 10)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": f"model 'x' not found; key {KEY}"}}, "model 'x' not found; key …"),
        ({"error": "try pulling it first"}, "try pulling it first"),
        ({"detail": "Server is pinned to 'tiny'"}, "Server is pinned to 'tiny'"),
        ({"message": "a\x1b[31mb\u202ec"}, "a[31mbc"),
        ({"detail": [{"loc": ["body"]}]}, ""),
        ("<html>no</html>", ""),
        ("x" * (openai.MAX_COMPLAINT_BYTES + 1), ""),
    ],
)
async def test_what_the_endpoint_says_of_its_refusal_is_kept_apart(
    model: OpenAIModel, peer: ScriptedModel, body: Any, said: str
) -> None:
    """For who set it up: it is in no message that could reach others, and the key is in neither."""
    peer.script({"status": 404, "body": body})
    with pytest.raises(ModelError) as refused:
        await model.complete(HELLO)
    assert refused.value.said == said
    assert str(refused.value) == openai.REFUSALS[404]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_reasons_is_asked_in_its_own_words(
    model: OpenAIModel, peer: ScriptedModel, stream: bool
) -> None:
    """OpenAI refuses the older name of the bound; once told so, the newer one is used."""
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    peer.script({"status": 400, "body": {"error": {"message": said}}}, {"say": "hi"}, {"say": "again"})
    wishes = Wishes(max_tokens=5, temperature=0.5, stop=("x",))
    for words in ("hi", "again"):
        answer = (await heard(model, wishes=wishes))[1] if stream else await model.complete(HELLO, wishes=wishes)
        assert answer.content == words
    bounds = [
        {name for name in ("max_tokens", "max_completion_tokens", "temperature") if name in one["body"]}
        for one in peer.asked
    ]
    assert bounds == [{"max_tokens", "temperature"}, {"max_completion_tokens"}, {"max_completion_tokens"}]
    peer.script(*[{"status": 400, "body": {"error": {"message": said}}}] * 2)
    with pytest.raises(Refused):
        await model.complete(HELLO)
    assert len(peer.asked) == 1


async def test_a_key_that_is_refused_is_told_apart(model: OpenAIModel, peer: ScriptedModel) -> None:
    peer.script({"status": 401})
    with pytest.raises(ModelDenied):
        await model.complete(HELLO)


async def test_a_reader_that_has_heard_enough_may_leave(model: OpenAIModel, peer: ScriptedModel) -> None:
    peer.script({"say": ["one", "two", "three"]}, {"say": "again"})
    async with aclosing(model.stream(HELLO)) as stream:
        assert await anext(stream) == "one"
    assert (await model.complete(HELLO)).content == "again"


async def test_an_endpoint_that_is_not_there_names_the_setting(pauses: list[float]) -> None:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    model = OpenAIModel("http://127.0.0.1:9/v1", "m", KEY, pause=pause)
    with pytest.raises(ModelError, match="check BASE_URL") as gone:
        await model.complete(HELLO)
    await model.close()
    assert KEY not in str(gone.value)
    assert len(pauses) == 2


@pytest.mark.parametrize("key", ["sk-a\nb", "密钥", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ModelError, match="API_KEY") as refused:
        OpenAIModel("http://127.0.0.1:9/v1", "m", key)
    assert key not in str(refused.value)


async def test_a_local_endpoint_is_found_by_asking_each(peer: ScriptedModel) -> None:
    model = await find_local_model(["http://127.0.0.1:9/v1", f"{peer.url}/nothing-here", peer.base_url])
    assert model is not None
    assert model.name == "scripted-1"
    peer.script({"say": "local"})
    assert (await model.complete(HELLO)).content == "local"
    await model.close()


async def test_no_local_endpoint_is_no_model() -> None:
    assert await find_local_model(["http://127.0.0.1:9/v1"]) is None

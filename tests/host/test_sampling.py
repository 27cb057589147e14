"""A server may have the chat's model write something, within bounds and with the user's consent (SAMP-11)."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit import Context, Server
from mcpkit.client.answers import Sampling
from mcpkit.host.model import ChatMessage, Completion, ModelError, Wishes
from mcpkit.host.sampling import MOST_CHARACTERS, MOST_TOKENS, Sampler, messages_of, wishes_of
from mcpkit.host.words import Speech
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.testing import connect
from tests.host.stage import Asking, Scripted


def asked(**params: Any) -> Sampling:
    params = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 10, **params}
    return Sampling("math", params["messages"], params["maxTokens"], params)


async def test_the_model_answers_when_the_user_allows_it() -> None:
    ask, model = Asking("y"), Scripted(Completion("hello", "m-1", finish_reason="length"))
    answer = await Sampler(model, Speech("en"), ask)(asked(systemPrompt="Be kind.", temperature=0.5))
    assert answer == {
        "role": "assistant",
        "content": {"type": "text", "text": "hello"},
        "model": "m-1",
        "stopReason": "maxTokens",
    }
    messages, _, wishes = model.asked[0]
    assert messages == [ChatMessage("system", "Be kind."), ChatMessage("user", "hi")]
    assert wishes == Wishes(10, 0.5)
    assert ask.asked == ["math wants your model to answer: Be kind. / hi\nAllow? [y]es, [n]o: "]


@pytest.mark.parametrize("answers", [["n"], ["", "what?", "否"], [None]])
async def test_the_model_is_not_asked_when_the_user_does_not_allow_it(answers: list[str | None]) -> None:
    model, ask = Scripted(), Asking(*answers)
    assert await Sampler(model, Speech("en"), ask)(asked()) is None
    assert ask.answers == []
    assert model.asked == []


@pytest.mark.parametrize("revision", ["2026-07-28", "2025-11-25"])
async def test_a_tool_gets_its_answer_in_the_middle_of_a_call(revision: str) -> None:
    server = Server("asks")

    @server.tool
    async def summarise(ctx: Context) -> str:
        """Let the host's model speak."""
        return (await ctx.sample("sum it up", max_tokens=50)).text

    sampler = Sampler(Scripted("short"), Speech("en"), None)
    async with connect(server, revision=revision, sampling_handler=sampler) as client:
        assert (await client.call_tool("summarise")).text == "short"


async def test_a_model_that_fails_is_an_error_of_ours() -> None:
    with pytest.raises(RpcError, match="busy"):
        await Sampler(Scripted(ModelError("busy")), Speech("en"), None)(asked())


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": {"type": "text", "text": "x"}}],
        [{"role": "user", "content": {"type": "image", "data": ""}}],
        [{"role": "user"}],
        [5],
        [{"role": "user", "content": {"type": "text", "text": "x" * (MOST_CHARACTERS + 1)}}],
    ],
)
def test_what_the_model_can_not_read_is_refused(messages: list[Any]) -> None:
    with pytest.raises(RpcError):
        messages_of({"messages": messages})


@pytest.mark.parametrize(
    ("params", "wishes"),
    [
        ({"maxTokens": 10**9}, Wishes(MOST_TOKENS)),
        ({"maxTokens": -1, "temperature": 9}, Wishes(MOST_TOKENS)),
        ({"maxTokens": 5, "stopSequences": ["a", 5, "b"]}, Wishes(5, None, ("a", "b"))),
    ],
)
def test_wishes_stay_within_bounds(params: dict[str, Any], wishes: Wishes) -> None:
    assert wishes_of(params) == wishes

"""What the client answers when it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcpkit.client.answers import REJECTED_BY_USER, Answers, Elicitation, Root, Sampling, refusal
from mcpkit.client.errors import InputUnavailable
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, MethodNotFound, RpcError

FORM = {
    "type": "object",
    "properties": {"name": {"type": "string", "default": "John"}, "age": {"type": "integer", "default": 30}},
    "required": ["name"],
}


async def elicited(answer: Any, params: dict[str, Any] | None = None, **handlers: Any) -> dict[str, Any]:
    answers = Answers(elicitation=lambda _: answer, **handlers)
    return await answers.answer("elicitation/create", {"message": "?", "requestedSchema": FORM, **(params or {})})


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"name": "Ada"}, {"action": "accept", "content": {"name": "Ada", "age": 30}}),
        ({}, {"action": "accept", "content": {"name": "John", "age": 30}}),
        (True, {"action": "accept", "content": {"name": "John", "age": 30}}),
        ("accept", {"action": "accept", "content": {"name": "John", "age": 30}}),
        (False, {"action": "decline"}),
        ("decline", {"action": "decline"}),
        (None, {"action": "cancel"}),
        ("cancel", {"action": "cancel"}),
    ],
)
async def test_forms(answer: Any, result: dict[str, Any]) -> None:
    """ELIC-03, ELIC-15: three actions, content only with accept, defaults filled in."""
    assert await elicited(answer) == result


async def test_a_handler_sees_who_asks() -> None:
    """ELIC-07; ELIC-05: a missing mode is a form."""
    seen: list[Elicitation] = []

    async def handler(asked: Elicitation) -> bool:
        seen.append(asked)
        return False

    answers = Answers(elicitation=handler, server="shop")
    await answers.answer("elicitation/create", {"message": "How many?", "requestedSchema": FORM})
    assert (seen[0].server, seen[0].message, seen[0].mode, seen[0].schema) == ("shop", "How many?", "form", FORM)


@pytest.mark.parametrize(
    "params",
    [{"message": 5}, {"requestedSchema": "x"}, {"requestedSchema": {"$ref": "http://127.0.0.1:9/x"}}],
)
async def test_malformed_forms(params: dict[str, Any]) -> None:
    """A question that is none is bad params, and its schema is never fetched (JSCH-04)."""
    with pytest.raises(InvalidParams):
        await elicited({"name": "x"}, params)


async def test_content_is_checked_before_it_is_sent() -> None:
    """ELIC-14."""
    with pytest.raises(InvalidParams, match="does not fit"):
        await elicited({"age": "old"})


async def test_pages_need_a_handler_of_their_own() -> None:
    """ELIC-06: a mode that was not declared is bad params; without any handler there is no such method."""
    page = {"mode": "url", "url": "https://x.example/", "elicitationId": "1"}
    with pytest.raises(InputUnavailable) as caught:
        await elicited(True, page)
    assert isinstance(caught.value.refusal, InvalidParams)
    assert await elicited(None, page, elicitation_url=lambda asked: asked.url == "https://x.example/") == {
        "action": "accept"
    }
    with pytest.raises(InputUnavailable) as caught:
        await Answers().answer("elicitation/create", {"message": "?"})
    assert isinstance(caught.value.refusal, MethodNotFound)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "http://", "http://[", 5, None])
async def test_only_web_pages_are_opened(url: Any) -> None:
    """OCLI-07: the handler never sees anything else."""
    with pytest.raises(InvalidParams):
        await elicited(None, {"mode": "url", "url": url}, elicitation_url=lambda _: True)


async def test_sampling() -> None:
    """SAMP-03, SAMP-06, SAMP-11."""
    asked = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 10}
    seen: list[Sampling] = []

    def handler(sampling: Sampling) -> str:
        seen.append(sampling)
        return "hello"

    answer = await Answers(sampling=handler).answer("sampling/createMessage", asked)
    assert answer == {"role": "assistant", "content": {"type": "text", "text": "hello"}, "model": "unknown"}
    assert (seen[0].max_tokens, seen[0].params) == (10, asked)
    whole = {"role": "assistant", "content": {"type": "text", "text": "x"}, "model": "m", "stopReason": "endTurn"}
    assert await Answers(sampling=lambda _: whole).answer("sampling/createMessage", asked) == whole
    with pytest.raises(RpcError) as caught:
        await Answers(sampling=lambda _: None).answer("sampling/createMessage", asked)
    assert caught.value.code == REJECTED_BY_USER
    with pytest.raises(InvalidParams, match="tools"):
        await Answers(sampling=handler).answer("sampling/createMessage", {**asked, "tools": []})
    assert await Answers(sampling=handler, sampling_tools=True).answer("sampling/createMessage", {**asked, "tools": []})
    with pytest.raises(InvalidParams):
        await Answers(sampling=handler).answer("sampling/createMessage", {"messages": 1})
    with pytest.raises(InputUnavailable):
        await Answers().answer("sampling/createMessage", asked)


async def test_roots(tmp_path: Path) -> None:
    """ROOT-01, ROOT-02, ROOT-04: always file URIs."""
    given: list[Root] = [tmp_path, "file:///a", {"uri": "file:///b", "name": "b"}]
    listed = await Answers(roots=given).answer("roots/list", {})
    assert listed["roots"][0] == {"uri": tmp_path.as_uri(), "name": tmp_path.name}
    assert listed["roots"][1:] == [{"uri": "file:///a"}, {"uri": "file:///b", "name": "b"}]

    async def later() -> list[str]:
        return ["file:///c"]

    assert await Answers(roots=later).answer("roots/list", {}) == {"roots": [{"uri": "file:///c"}]}
    with pytest.raises(InputUnavailable):
        await Answers().answer("roots/list", {})


async def test_ping_and_the_unknown() -> None:
    """PING-01: a server may ping too. Anything else is no method."""
    assert await Answers().answer("ping", {}) == {}
    with pytest.raises(MethodNotFound):
        await Answers().answer("tools/call", {})


def test_what_is_declared_is_what_is_handled() -> None:
    """CAP-02, CAP-03."""
    assert Answers().capabilities() == {}
    every = Answers(
        elicitation=lambda _: None,
        elicitation_url=lambda _: None,
        sampling=lambda _: None,
        sampling_tools=True,
        roots=[],
    )
    assert every.capabilities() == {
        "elicitation": {"form": {}, "url": {}},
        "sampling": {"tools": {}},
        "roots": {"listChanged": True},
    }
    assert Answers(elicitation_url=lambda _: None).capabilities() == {"elicitation": {"url": {}}}


def test_refusals_tell_nothing_of_us() -> None:
    """LEAK-07: a handler's own fault is an internal error without its text."""
    assert refusal(InvalidParams("x")).message == "x"
    hidden = refusal(ValueError("/home/secret"))
    assert isinstance(hidden, InternalError)
    assert "secret" not in hidden.message

"""The example prompts: listed with their arguments, filled in, and never broken out of by what a caller gives."""

from __future__ import annotations

import pytest

from mcpkit.jsonrpc.errors import InvalidParams
from routers.prompt_router import fenced
from tests.routers.conftest import Ask

NAMES = {"assistant", "code_review", "debug_workflow"}


async def test_every_prompt_is_listed_with_its_arguments(ask: Ask) -> None:
    """The examples, among what was added to them."""
    listed = (await ask("prompts/list"))["prompts"]
    prompts = {prompt["name"]: prompt for prompt in listed if prompt["name"] in NAMES}
    assert prompts.keys() == NAMES
    assert [(one["name"], one["required"]) for one in prompts["code_review"]["arguments"]] == [
        ("language", True),
        ("code", True),
    ]
    assert all(argument["description"] for prompt in prompts.values() for argument in prompt["arguments"])


async def test_a_review_is_one_message_with_the_code_in_a_fence(ask: Ask) -> None:
    arguments = {"language": "python", "code": "print('hi')"}
    (message,) = (await ask("prompts/get", name="code_review", arguments=arguments))["messages"]
    assert message["role"] == "user"
    assert "```python\nprint('hi')\n```" in message["content"]["text"]


async def test_a_workflow_has_several_messages_of_both_sides(ask: Ask) -> None:
    arguments = {"error": "KeyError: 'x'", "context": "a deployment"}
    messages = (await ask("prompts/get", name="debug_workflow", arguments=arguments))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert "KeyError" in messages[0]["content"]["text"]
    assert "a deployment" in messages[0]["content"]["text"]


async def test_a_persona_has_defaults_and_a_choice_of_tones(ask: Ask) -> None:
    messages = (await ask("prompts/get", name="assistant"))["messages"]
    assert "careful software engineer" in messages[0]["content"]["text"]
    told = await ask("prompts/get", name="assistant", arguments={"role": "a poet", "tone": "brief"})
    assert "a poet. Speak in a brief way" in told["messages"][0]["content"]["text"]
    with pytest.raises(InvalidParams, match="tone"):
        await ask("prompts/get", name="assistant", arguments={"tone": "rude"})


async def test_languages_are_suggested(ask: Ask) -> None:
    ref = {"type": "ref/prompt", "name": "code_review"}
    answer = await ask("completion/complete", ref=ref, argument={"name": "language", "value": "py"})
    assert answer["completion"]["values"] == ["python"]


@pytest.mark.parametrize(
    ("text", "fence"),
    [("plain", "```"), ("``` breaks out", "````"), ("`````", "``````"), ("", "```")],
)
def test_a_text_can_not_end_its_own_fence(text: str, fence: str) -> None:
    assert fenced(text, "python") == f"{fence}python\n{text}\n{fence}"

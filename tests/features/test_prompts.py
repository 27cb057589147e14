"""Prompts: listed and got."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest
from pydantic import Field

from mcpkit.features.content import EmbeddedResource, Image
from mcpkit.features.errors import InsufficientScope, RegistrationError, ToolError
from mcpkit.features.messages import Message
from mcpkit.features.prompts import Prompt, Prompts, texts_of
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, RpcError
from mcpkit.protocol.revisions.registry import NEWEST
from mcpkit.security.principal import Principal
from tests.exchanges import exchange
from tests.schema.official import faults


class Context:
    __mcp_context__ = True

    def __init__(self, call: Any) -> None:
        self.call = call


def greet(name: str, style: Literal["short", "long"] = "short", times: int = Field(1, title="How often")) -> str:
    """Greet someone.

    Args:
        name: Who is greeted.
    """
    return f"{style} {name} {times!r}"


def prompts(*functions: Any, **options: Any) -> Prompts:
    made = Prompts(Context, **options)
    for function in functions:
        made.add(function)
    return made


async def get(subject: Prompts, name: Any, arguments: Any = None, **options: Any) -> dict[str, Any]:
    params = {"name": name} if arguments is None else {"name": name, "arguments": arguments}
    return await asyncio.wait_for(subject.get(exchange("prompts/get", params, **options)), 5)


async def test_a_prompt_is_listed_with_its_arguments() -> None:
    """PRMT-01."""
    subject = Prompts(Context)
    subject.add(greet, title="Greeting", icons=["https://a.example/i.png"])
    listed = await subject.list(exchange("prompts/list"))
    assert listed["prompts"] == [
        {
            "name": "greet",
            "title": "Greeting",
            "description": "Greet someone.",
            "arguments": [
                {"name": "name", "description": "Who is greeted.", "required": True},
                {"name": "style", "required": False},
                {"name": "times", "title": "How often", "required": False},
            ],
            "icons": [{"src": "https://a.example/i.png"}],
        }
    ]
    assert faults(NEWEST.name, "ListPromptsResult", {"resultType": "complete", **listed}) == []


async def test_getting_a_prompt() -> None:
    """PRMT-02: texts become the annotated types, unknown ones are ignored (PRMT-08)."""
    result = await get(prompts(greet), "greet", {"name": "Ada", "times": "2", "zebra": "?"})
    assert result == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "short Ada 2"}}],
        "description": "Greet someone.",
    }
    assert faults(NEWEST.name, "GetPromptResult", {"resultType": "complete", **result}) == []


async def test_a_prompt_without_arguments_is_got_without_the_member() -> None:
    async def simple() -> str:
        return "hi"

    assert (await get(prompts(simple), "simple"))["messages"]


async def test_images_resources_and_roles() -> None:
    """PRMT-04."""

    async def rich(ctx: Context) -> list[Any]:
        return [Image(b"\x89PNG\r\n\x1a\n"), EmbeddedResource("a://b", "t"), Message(ctx.call.method, "assistant")]

    result = await get(prompts(rich), "rich")
    assert [message["role"] for message in result["messages"]] == ["user", "user", "assistant"]
    assert faults(NEWEST.name, "GetPromptResult", {"resultType": "complete", **result}) == []


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("gret", {}, "Unknown prompt 'gret'; did you mean 'greet'?"),
        (3, {}, "name must be the name of a prompt"),
        ("greet", {}, "Invalid arguments for greet: name: is required but missing"),
        ("greet", {"name": "A", "times": "x"}, "Invalid arguments for greet: times: "),
        ("greet", {"name": "A", "style": "loud"}, "Invalid arguments for greet: style: "),
        ("greet", {"name": 5}, "arguments.name must be a string"),
        ("greet", [], "arguments must be an object"),
    ],
)
async def test_what_does_not_fit_is_bad_params(name: Any, arguments: Any, told: str) -> None:
    """PRMT-03, PRMT-06, PRMT-08."""
    with pytest.raises(InvalidParams) as caught:
        await get(prompts(greet), name, arguments)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(("error", "told"), [(ToolError("offline"), "offline"), (KeyError("secret"), "broken failed")])
async def test_a_failure_is_an_internal_error(error: Exception, told: str) -> None:
    """PRMT-03, TSEC-06."""

    def broken() -> str:
        raise error

    with pytest.raises(InternalError) as caught:
        await get(prompts(broken), "broken")
    assert str(caught.value) == told


async def test_protocol_errors_pass_and_deadlines_hold() -> None:
    async def own() -> str:
        raise RpcError(-32000, "own")

    async def slow() -> str:
        await asyncio.Event().wait()
        return ""

    subject = prompts(own, slow, timeout=0.01)
    with pytest.raises(RpcError, match="own"):
        await get(subject, "own")
    with pytest.raises(InternalError, match="timed out"):
        await get(subject, "slow")


async def test_who_may_not_see_a_prompt_does_not_find_it() -> None:
    subject = Prompts(Context)
    subject.add(greet, visible=lambda call: call.principal is not None)
    subject.add(greet, name="scoped", scopes=["greet"])
    with pytest.raises(InvalidParams, match="Unknown prompt 'greet'; there are scoped"):
        await get(subject, "greet", {"name": "A"})
    assert await get(subject, "greet", {"name": "A"}, principal=Principal("m"))
    with pytest.raises(InsufficientScope):
        await get(subject, "scoped", {"name": "A"}, principal=Principal("m"))


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 129])
def test_a_name_must_be_one(name: str) -> None:
    with pytest.raises(RegistrationError, match="name"):
        Prompt(lambda: "", {"name": name or "\t"})


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(RegistrationError, match="give name="):
        prompts(lambda: "hi")
    assert Prompts(Context).add(lambda: "hi", name="hi").key == "hi"


def test_ready_prompts_handles_and_changes() -> None:
    """PRMT-07."""
    told: list[int] = []
    subject = Prompts(Context, changed=lambda: told.append(1))
    ready = subject.add(Prompt(greet))
    ready.update(description="Hello")
    assert ready.description == "Hello"
    assert [prompt.key for prompt in subject] == ["greet"]
    ready.remove()
    assert (len(subject), len(told)) == (0, 3)
    with pytest.raises(RegistrationError, match="made already"):
        subject.add(Prompt(greet), title="x")


def test_an_impossible_completion_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"completions name 'nam'.*did you mean 'name'"):
        Prompts(Context).add(greet, completions={"nam": ["Ada"]})


def test_texts() -> None:
    assert texts_of(None, "x") == {}
    assert texts_of({"a": "b"}, "x") == {"a": "b"}
    with pytest.raises(InvalidParams, match=r"x\.a must be a string"):
        texts_of({"a": None}, "x")

"""Handlers as other libraries have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from mcpkit.client import MCPClient
from mcpkit.client.answers import Answers, Elicitation
from mcpkit.client.handlers import (
    elicitation_handler,
    message_handler,
    progress_handler,
    sampling_handler,
)
from mcpkit.client.notices import Progress
from tests.client.scripted import HANDSHAKE, FakeTransport, answering, soon

FORM = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
VALUE = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}


@dataclass
class ElicitResult:
    """As both libraries have it."""

    action: str
    content: Any = None


class Person(BaseModel):
    name: str
    age: int | None = None


async def elicited(handler: Any, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    answers = Answers(elicitation=elicitation_handler(handler))
    params = {"message": "Who?", "requestedSchema": schema or FORM}
    return await soon(answers.answer("elicitation/create", params))


ACCEPTED = {"action": "accept", "content": {"name": "Ada"}}


@pytest.mark.parametrize(
    ("handler", "result"),
    [
        (lambda asked: {"name": "Ada"}, ACCEPTED),
        (lambda asked: Person(name="Ada"), ACCEPTED),
        (lambda asked: False, {"action": "decline"}),
        (lambda context, params: ElicitResult("accept", {"name": "Ada"}), ACCEPTED),
        (lambda context, params: ElicitResult("cancel"), {"action": "cancel"}),
        (lambda message, response_type, params, context: {"name": "Ada"}, ACCEPTED),
        (lambda message, response_type, params, context: response_type(name="Ada"), ACCEPTED),
        (lambda message, response_type, params, context: ElicitResult("decline"), {"action": "decline"}),
        (lambda message, response_type, params, context: ElicitResult("accept", Person(name="Ada")), ACCEPTED),
        (lambda message, response_type, params, context: {"action": "accept", "content": {"name": "Ada"}}, ACCEPTED),
        (lambda message, response_type, params, context: {"action": "accept"}, {"action": "accept", "content": {}}),
        (lambda message, response_type, params, context: None, {"action": "cancel"}),
    ],
)
async def test_forms_of_elicitation_handlers(handler: Any, result: dict[str, Any]) -> None:
    """Ours, the official SDK's, FastMCP's; whatever they return."""
    assert await elicited(handler) == result


async def test_what_each_is_given() -> None:
    """The same question under the names that each library uses."""
    seen: list[Any] = []

    async def fastmcp(message: str, response_type: Any, params: Any, context: Any) -> dict[str, Any]:
        seen.extend([message, params.requested_schema, params.requestedSchema])
        return {}

    async def sdk(context: Any, params: Any) -> ElicitResult:
        seen.append(params.message)
        return ElicitResult("decline")

    await elicited(fastmcp)
    await elicited(sdk)
    assert seen == ["Who?", FORM, FORM, "Who?"]


async def test_a_bare_value() -> None:
    """FastMCP asks for a number by a form with one field, and its handlers answer with the number."""
    wrapped = {"action": "accept", "content": {"value": 7}}
    assert await elicited(lambda m, t, p, c: 7, VALUE) == wrapped
    assert await elicited(lambda m, t, p, c: {"value": 7}, VALUE) == wrapped
    assert await elicited(lambda m, t, p, c: t(value=7), VALUE) == wrapped


@pytest.mark.parametrize("name", ["two words", "class", "1st"])
async def test_fields_that_python_can_not_name(name: str) -> None:
    """Then there is no type to make."""
    kinds: list[Any] = []

    def handler(message: str, response_type: Any, params: Any, context: Any) -> dict[str, Any]:
        kinds.append(response_type)
        return {name: "x"}

    schema = {"type": "object", "properties": {name: {"type": "string"}}}
    assert (await elicited(handler, schema))["content"] == {name: "x"}
    assert kinds == [None]


@pytest.mark.parametrize(
    "handler",
    [
        lambda asked: asked.messages[0]["content"]["text"],
        lambda context, params: params.messages[0]["content"]["text"],
        lambda messages, params, context: messages[0].content["text"],
    ],
)
async def test_forms_of_sampling_handlers(handler: Any) -> None:
    """As above."""
    asked = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}], "maxTokens": 5}
    answer = await soon(Answers(sampling=sampling_handler(handler)).answer("sampling/createMessage", asked))
    assert answer["content"]["text"] == "hi"


async def test_forms_of_the_others() -> None:
    """Progress as one value or three, any message as one or two."""
    heard: list[Any] = []

    async def call(params: dict[str, Any]) -> dict[str, Any]:
        token = params["_meta"]["progressToken"]
        transport.tell("notifications/progress", {"progressToken": token, "progress": 1, "total": 2, "message": "m"})
        return {"content": []}

    def three(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    transport = FakeTransport(answering({"tools/call": call}, modern=False))
    options: Any = {"progress_handler": three, "message_handler": lambda message: heard.append(message.method)}
    async with MCPClient(transport, mode=HANDSHAKE, **options) as client:
        await soon(client.call_tool("t"))
        await soon(client.call_tool("t", progress_handler=heard.append))
        transport.tell("notifications/x", {})
    assert heard == [(1, 2, "m"), Progress(1, 2, "m"), "notifications/x"]


def test_none_stays_none() -> None:
    """No handler, no capability."""
    for form in (elicitation_handler, sampling_handler, progress_handler, message_handler):
        assert form(None) is None


async def test_what_can_not_be_counted_is_ours() -> None:
    """A builtin without a signature."""
    made = elicitation_handler(dict.get)
    assert made is not None
    own = elicitation_handler(type("Callable", (), {"__call__": lambda self, asked: {"name": asked.message}})())
    assert own is not None
    assert await own(Elicitation("s", "Ada", FORM, "form", None, {})) == {"name": "Ada"}  # type: ignore[misc]

"""Handlers in the forms that other libraries have taught people, made into ours by the number of their parameters.

One parameter is our own form; FastMCP's have three or four, the official SDK's two. What must never stand here: what a
handler is asked (answers.py, notices.py).
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from mcpkit.client.answers import Elicitation, ElicitationHandler, Sampling, SamplingHandler
from mcpkit.client.notices import MessageHandler, Progress, ProgressHandler
from mcpkit.client.record import Record
from mcpkit.jsonrpc.messages import JsonObject, Notification

_VALUE = "value"
"""The one property of a form that stands for a bare value, as FastMCP makes them."""


def elicitation_handler(handler: Callable[..., Any] | None) -> ElicitationHandler | None:
    """``(asked)``, ``(context, params)`` or ``(message, response_type, params, context)``."""
    if handler is None:
        return None
    count = _parameters(handler)

    async def handle(asked: Elicitation) -> Any:
        params = Record.of(asked.params)
        forms: dict[int, tuple[Any, ...]] = {
            2: (asked, params),
            4: (asked.message, _response_type(asked), params, asked),
        }
        answer = await _called(handler, *forms.get(count, (asked,)))
        return _answered(answer, asked) if count in forms else _content(answer)

    return handle


def sampling_handler(handler: Callable[..., Any] | None) -> SamplingHandler | None:
    """``(asked)``, ``(context, params)`` or ``(messages, params, context)``."""
    if handler is None:
        return None
    count = _parameters(handler)

    async def handle(asked: Sampling) -> Any:
        params = Record.of(asked.params)
        messages = [Record.of(message) for message in asked.messages]
        forms: dict[int, tuple[Any, ...]] = {2: (asked, params), 3: (messages, params, asked)}
        return _content(await _called(handler, *forms.get(count, (asked,))))

    return handle


def progress_handler(handler: Callable[..., Any] | None) -> ProgressHandler | None:
    """``(progress)`` or ``(progress, total, message)``."""
    if handler is None or _parameters(handler) != 3:
        return handler

    def handle(report: Progress) -> Any:
        return handler(report.progress, report.total, report.message)

    return handle


def message_handler(handler: Callable[..., Any] | None) -> MessageHandler | None:
    """``(method, params)`` or ``(message)``."""
    if handler is None or _parameters(handler) != 1:
        return handler

    def handle(method: str, params: JsonObject) -> Any:
        return handler(Notification(method, params))

    return handle


def _parameters(handler: Callable[..., Any]) -> int:
    """How many positional parameters have to be given; one where that can't be told."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return sum(one.kind in positional and one.default is inspect.Parameter.empty for one in parameters)


def _response_type(asked: Elicitation) -> type | None:
    """A dataclass with the form's fields, for handlers that return one; None where a field has no name for Python."""
    names = asked.schema.get("properties")
    if not isinstance(names, dict) or not all(isinstance(name, str) and name.isidentifier() for name in names):
        return None
    try:
        return dataclasses.make_dataclass("Answer", [(name, Any, dataclasses.field(default=None)) for name in names])
    except TypeError:  # a keyword of Python's
        return None


def _answered(answer: Any, asked: Elicitation) -> Any:
    """What a handler of another library returned, as ours return it."""
    action = answer.get("action") if isinstance(answer, dict) else getattr(answer, "action", None)
    if action in {"accept", "decline", "cancel"}:
        content = answer.get("content") if isinstance(answer, dict) else getattr(answer, "content", None)
        return action if action != "accept" or content is None else _content(content)
    properties = asked.schema.get("properties")
    bare = isinstance(properties, dict) and properties.keys() == {_VALUE}
    found = _content(answer)
    return {_VALUE: found} if bare and found is not None and not isinstance(found, dict) else found


def _content(answer: Any) -> Any:
    """A dataclass or a pydantic model as the dict that it stands for."""
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return {name: value for name, value in dataclasses.asdict(answer).items() if value is not None}
    dump = getattr(answer, "model_dump", None)
    return dump(by_alias=True, exclude_none=True, mode="json") if callable(dump) else answer


async def _called(handler: Callable[..., Any], *arguments: Any) -> Any:
    answer: Any | Awaitable[Any] = handler(*arguments)
    return await answer if inspect.isawaitable(answer) else answer

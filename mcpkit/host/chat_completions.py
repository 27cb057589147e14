"""The chat completions format of OpenAI, which most model servers speak: the body of a request, no I/O.

What must never stand here: HTTP, keys, retries, reading an answer (completion_reader.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mcpkit.host.dialect import NEWER_BOUND, USUAL, Dialect
from mcpkit.host.model import ChatMessage, Image, ToolCall, ToolOffer, Wishes
from mcpkit.host.reasoning import CONTENT, MEMBERS
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject

LONGEST_NAME: Final = 64
_UNUSABLE: Final = re.compile(r"[^A-Za-z0-9_-]")


def request_body(
    model: str,
    messages: Sequence[ChatMessage],
    tools: Sequence[ToolOffer],
    wishes: Wishes,
    *,
    stream: bool,
    dialect: Dialect = USUAL,
) -> bytes:
    """The body of a request for a completion, as the endpoint's ``dialect`` has it."""
    body: JsonObject = {"model": model, "messages": [_message(message, dialect) for message in messages]}
    if tools:
        body["tools"] = [_offer(tool) for tool in tools]
    if wishes.max_tokens is not None:
        body[NEWER_BOUND if dialect.newer_bound else "max_tokens"] = wishes.max_tokens
    if wishes.temperature is not None and not dialect.newer_bound:
        body["temperature"] = wishes.temperature
    if wishes.stop:
        body["stop"] = list(wishes.stop)
    if stream:
        body["stream"] = True
        if dialect.usage_in_streams:
            body["stream_options"] = {"include_usage": True}
    return encode(body)


def _message(message: ChatMessage, dialect: Dialect) -> JsonObject:
    wire: JsonObject = {"role": message.role, "content": message.content}
    if message.images and dialect.takes_images:
        wire["content"] = [{"type": "text", "text": message.content}, *map(_image, message.images)]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.role == "assistant" and dialect.takes_reasoning:
        _add_reasoning(wire, message, dialect)
    return wire


def _add_reasoning(wire: JsonObject, message: ChatMessage, dialect: Dialect) -> None:
    """What was thought before calls goes back with them; before an answer without any, only where it is wanted."""
    if message.tool_calls:
        wire.update({name: message.reasoning[name] for name in MEMBERS if name in message.reasoning})
        if CONTENT in message.reasoning:
            said = [{"type": "text", "text": message.content}] if message.content else []
            wire["content"] = [*message.reasoning[CONTENT], *said]
    if dialect.wants_reasoning:
        wire["reasoning_content"] = message.reasoning.get("reasoning_content", "")


def _image(image: Image) -> JsonObject:
    return {"type": "image_url", "image_url": {"url": f"data:{image.mime_type};base64,{image.data}"}}


def _call(call: ToolCall) -> JsonObject:
    # A name that the model made up may be one that the endpoint itself would refuse in every later request.
    name = _UNUSABLE.sub("_", call.name)[:LONGEST_NAME] or "unnamed"
    function = {"name": name, "arguments": encode(call.arguments).decode()}
    return {"id": call.id, "type": "function", "function": function, **call.extra}


def _offer(tool: ToolOffer) -> JsonObject:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}

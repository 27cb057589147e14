"""Contents that careless servers send in another form than the protocol's: read where they can mean one thing only.

What they can't be read as is an error: nothing that a server answers is lost unseen. What must never stand here: how a
result was fetched, how it is shown.
"""

from __future__ import annotations

from typing import Any

from mcpkit.client.display import clean
from mcpkit.client.errors import ProtocolViolation
from mcpkit.client.results import CallToolResult, GetPromptResult, ReadResourceResult
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject


def tool_result(result: JsonObject) -> CallToolResult:
    """The result of a tool, its content a list of blocks.

    Raises: ProtocolViolation.
    """
    blocks = [_block(one, "the tool's content") for one in _list(result.get("content"), "the tool's content")]
    return CallToolResult.of(_with(result, "content", blocks))


def prompt_result(result: JsonObject) -> GetPromptResult:
    """The result of a prompt, each of its messages with one block.

    Raises: ProtocolViolation.
    """
    messages: list[Any] = []
    for message in _list(result.get("messages"), "the prompt's messages"):
        if not isinstance(message, dict):
            raise _unreadable("the prompt's messages", "messages", message)
        blocks = _list(message.get("content"), "a message's content")
        messages += [{**message, "content": _block(one, "a message's content")} for one in blocks] or [message]
    return GetPromptResult.of(_with(result, "messages", messages))


def resource_result(result: JsonObject) -> ReadResourceResult:
    """The contents of a resource, as a list.

    Raises: ProtocolViolation.
    """
    contents = [_contents(one) for one in _list(result.get("contents"), "the resource's contents")]
    return ReadResourceResult.of(_with(result, "contents", contents))


def _with(result: JsonObject, name: str, made: list[Any]) -> JsonObject:
    return {**result, name: made} if made and made != result[name] else result


def _list(value: Any, where: str) -> list[Any]:
    if isinstance(value, list):
        return value
    if value is None or value in ("", {}):
        return []
    if isinstance(value, str | dict):
        return [value]
    raise _unreadable(where, "a list", value)


def _block(value: Any, where: str) -> JsonObject:
    """One block: a text and an object that has a text are blocks of text."""
    if isinstance(value, str):
        return {"type": "text", "text": value}
    if not isinstance(value, dict):
        raise _unreadable(where, "blocks", value)
    kind = value.get("type")
    if isinstance(kind, str) and kind and kind != "text":
        return value
    if "text" not in value or (kind != "text" and not isinstance(value["text"], str)):
        raise _unreadable(where, "blocks", value)
    return value if kind == "text" and isinstance(value["text"], str) else {**value, "type": "text", **_text(value)}


def _contents(value: Any) -> JsonObject:
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, dict):
        raise _unreadable("the resource's contents", "objects", value)
    return value if isinstance(value.get("text", ""), str) else {**value, **_text(value)}


def _text(value: JsonObject) -> JsonObject:
    """The member ``text``; of another type, as the JSON that it is."""
    text = value["text"]
    return {"text": text if isinstance(text, str) else "" if text is None else encode(text).decode()}


def _unreadable(where: str, wanted: str, found: Any) -> ProtocolViolation:
    shown = clean(encode(found).decode("utf-8", "replace"), 60)
    return ProtocolViolation(f"the server's answer can't be read: {where} must be {wanted}, not {shown}")

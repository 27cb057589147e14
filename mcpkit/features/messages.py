"""A prompt's messages: what an author's value becomes when the prompt is got (PRMT-02, PRMT-04).

What must never stand here: arguments, which prompt it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcpkit.features.content import as_block
from mcpkit.features.errors import BadReturn
from mcpkit.features.json_values import fault_of
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.types import Role


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a text, a content block, or a value, which is sent as JSON."""

    content: Any
    role: Role = "user"

    def to_wire(self) -> JsonObject:
        """As it is sent.

        Raises: ValueError when the content has no JSON form.
        """
        return {"role": self.role, "content": as_block(self.content)}


@dataclass(frozen=True, slots=True)
class PromptResult:
    """A prompt's whole result."""

    messages: Any
    """Anything a prompt may return."""
    description: str | None = None
    meta: Mapping[str, Any] | None = None


def prompt_result(value: Any, description: str | None) -> JsonObject:
    """The result for a value; ``description`` is what the prompt says of itself.

    Raises: BadReturn when it has no JSON form.
    """
    raw = getattr(value, "__mcp_result__", None)
    if raw is not None:
        return raw()  # type: ignore[no-any-return]  # the object's own promise
    whole = value if isinstance(value, PromptResult) else PromptResult(value, description)
    listed = whole.messages if isinstance(whole.messages, list | tuple) else [whole.messages]
    try:
        messages = [message for item in listed for message in _messages(item)]
    except ValueError as error:
        raise fault_of(value) or BadReturn(f"the returned value has no JSON form: {error}") from None
    result: JsonObject = {"messages": messages}
    if whole.description or description:
        result["description"] = whole.description or description
    if whole.meta:
        result["_meta"] = dict(whole.meta)
    return result


def _messages(item: Any) -> Sequence[JsonObject]:
    """An item as messages: one block a message, so that a message with several blocks becomes several."""
    if isinstance(item, Message):
        blocks = item.content if isinstance(item.content, list | tuple) else [item.content]
        return [Message(block, item.role).to_wire() for block in blocks]
    if isinstance(item, dict) and "role" in item and "content" in item:
        return [{**item, "content": as_block(item["content"])}]
    return [Message(item).to_wire()]

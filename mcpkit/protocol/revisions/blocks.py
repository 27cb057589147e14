"""What several revisions do to content blocks: reach them wherever they stand, say as text what has no block.

What must never stand here: which revision does it.
"""

from __future__ import annotations

import json
from typing import Any

from mcpkit.protocol.revisions.revision import Adapt
from mcpkit.protocol.revisions.shape import adapt_items, each, within


def in_blocks(adapt: Adapt) -> dict[str, Adapt]:
    """Lowerings that do ``adapt`` to every content block that a server sends in a result."""
    return {"tools/call": each("content", adapt), "prompts/get": each("messages", within("content", adapt))}


def in_sampling(adapt: Adapt) -> dict[str, Adapt]:
    """A lowering that does ``adapt`` to every content block of a sampling question, alone or in a list."""

    def message(value: dict[str, Any]) -> dict[str, Any]:
        content = value.get("content")
        if isinstance(content, dict):
            adapted: Any = adapt(content)
        elif isinstance(content, list):
            adapted = adapt_items(content, adapt)
        else:
            return value
        return value if adapted is content else {**value, "content": adapted}

    return {"sampling/createMessage": each("messages", message)}


def text_block(text: str, replaced: dict[str, Any]) -> dict[str, Any]:
    """A text that stands in another block's place, for the same audience."""
    block: dict[str, Any] = {"type": "text", "text": text}
    if "annotations" in replaced:
        block["annotations"] = replaced["annotations"]
    return block


def text_instead_of_structure(result: dict[str, Any]) -> dict[str, Any]:
    """A tool result without ``structuredContent``; its JSON becomes a text where there was none (TOUT-06, TOUT-07)."""
    if "structuredContent" not in result:
        return result
    rest = {name: member for name, member in result.items() if name != "structuredContent"}
    content = rest.get("content") or []
    if not any(isinstance(block, dict) and block.get("type") == "text" for block in content):
        text = json.dumps(result["structuredContent"], ensure_ascii=False, separators=(",", ":"))
        rest["content"] = [*content, {"type": "text", "text": text}]
    return rest

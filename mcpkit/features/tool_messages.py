"""Uses of tools and their results in the messages of a sampling request: every use is answered at once (SAMP-08).

What must never stand here: what else a message holds, who is asked.
"""

from __future__ import annotations

from typing import Any

from mcpkit.jsonrpc.messages import JsonObject


def check_tool_messages(messages: list[JsonObject]) -> None:
    """That each assistant's message with uses of tools is followed by a user's message with all of their results.

    Raises: ValueError, saying which and what to do.
    """
    open_uses: list[Any] = []
    for place, message in enumerate(messages):
        blocks = _blocks(message)
        results = [block.get("toolUseId") for block in blocks if block.get("type") == "tool_result"]
        if results and (message.get("role") != "user" or len(results) < len(blocks)):
            raise ValueError(f"messages[{place}] has tool results: it must be a user message with nothing beside them")
        if sorted(map(str, results)) != sorted(map(str, open_uses)):
            raise ValueError(
                f"messages[{place}] must hold the result of every tool use before it, and no other results"
            )
        open_uses = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
    if open_uses:
        raise ValueError("the last message uses tools: add a user message with their results")


def _blocks(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    blocks = content if isinstance(content, list) else [content]
    return [block for block in blocks if isinstance(block, dict)]

"""What a model thought before it answered, kept as its endpoint wrote it: some want it back, others refuse it.

DeepSeek and Kimi want ``reasoning_content`` back with every assistant message that calls tools, in all later requests;
OpenRouter its ``reasoning_details``, Mistral its parts of type thinking; older models refuse it with answers that call
none. What must never stand here: showing it, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcpkit.jsonrpc.messages import JsonObject

TEXTS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_opaque")
LISTS: Final = ("reasoning_details", "thinking_blocks")
CONTENT: Final = "content"
"""Parts of a message's content that are thoughts; kept under the name of the member that they came in."""
MEMBERS: Final = (*TEXTS, *LISTS)
THOUGHTS: Final = frozenset({"thinking", "reasoning", "redacted_thinking"})
_PIECEMEAL: Final = ("text", "summary", "data", "thinking")
"""Members of an entry that come in pieces."""


class Reasoning:
    """Collects it, from one message or from many fragments."""

    def __init__(self) -> None:
        self._kept: JsonObject = {}

    @property
    def kept(self) -> JsonObject:
        """By the names of the endpoint's members: texts, and lists of entries."""
        return self._kept

    def take(self, message: Mapping[str, Any], *, whole: bool) -> bool:
        """Note what a ``whole`` message, or a fragment of one, says; whether it says any."""
        said = False
        for name in TEXTS:
            if isinstance(message.get(name), str):
                self._kept[name] = self._kept.get(name, "") + message[name]
                said = said or bool(message[name])
        for name in LISTS:
            said = self._entries(name, message.get(name), whole) or said
        content = message.get(CONTENT)
        parts = [part for part in content if _is_thought(part)] if isinstance(content, list) else []
        return self._entries(CONTENT, parts, whole) or said

    def _entries(self, name: str, entries: Any, whole: bool) -> bool:
        found = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        for entry in found:
            kept = self._kept.setdefault(name, [])
            if kept and not whole and _goes_on(kept[-1], entry):
                _join(kept[-1], entry)
            else:
                kept.append(dict(entry))
        return bool(found)


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in THOUGHTS


def _goes_on(before: JsonObject, entry: JsonObject) -> bool:
    """Whether a fragment belongs to the entry before: one of the same type, of the same index or id.

    A signature ends an entry.
    """
    if before.get("type") != entry.get("type") or before.get("signature") is not None:
        return False
    index, id = entry.get("index"), entry.get("id")
    if before.get("index") != index or (id is not None and before.get("id") != id):
        return False
    return index is not None or id is not None or "thinking" in entry


def _join(before: JsonObject, entry: JsonObject) -> None:
    for name, value in entry.items():
        had = before.get(name)
        if name in _PIECEMEAL and had and type(value) is type(had):
            before[name] = had + value  # texts, or lists of parts
        elif value is not None:
            before[name] = value

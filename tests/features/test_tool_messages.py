"""Uses of tools and their results in sampling messages."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.features.questions import Sample
from mcpkit.features.tool_messages import check_tool_messages

TEXT = {"type": "text", "text": "hi"}


def use(id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "add", "input": {}}


def result(id: str) -> dict[str, Any]:
    return {"type": "tool_result", "toolUseId": id, "content": []}


def message(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks) if len(blocks) > 1 else blocks[0]}


def test_uses_that_are_answered_at_once_are_fine() -> None:
    """SAMP-08, SAMP-09: in any order, alone or several."""
    asked = [message("user", TEXT), message("assistant", TEXT, use("a"), use("b"))]
    answered = message("user", result("b"), result("a"))
    check_tool_messages([*asked, answered, message("assistant", use("c")), message("user", result("c"))])
    assert Sample("hi").params()["messages"] == [{"role": "user", "content": TEXT}]


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([message("assistant", use("a"))], "last message"),
        ([message("assistant", use("a")), message("user", TEXT)], r"messages\[1\] must hold"),
        ([message("assistant", use("a"), use("b")), message("user", result("a"))], r"messages\[1\] must hold"),
        ([message("user", result("a"))], r"messages\[0\] must hold"),
        ([message("assistant", use("a")), message("user", result("a"), TEXT)], r"messages\[1\] has tool results"),
        ([message("assistant", use("a")), message("assistant", result("a"))], r"messages\[1\] has tool results"),
    ],
)
def test_what_no_model_would_take_is_refused_before_it_is_sent(messages: list[dict[str, Any]], told: str) -> None:
    """SAMP-08."""
    with pytest.raises(ValueError, match=told):
        Sample(messages).params()

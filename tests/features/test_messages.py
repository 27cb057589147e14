"""What a prompt's values become."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.features.content import EmbeddedResource, Image
from mcpkit.features.errors import BadReturn
from mcpkit.features.messages import Message, PromptResult, prompt_result

PNG = b"\x89PNG\r\n\x1a\n"


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": {"type": "text", "text": text}}


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ("hi", [said("hi")]),
        (Message("hi", "assistant"), [said("hi", "assistant")]),
        (["hi", Message("ho", role="assistant")], [said("hi"), said("ho", "assistant")]),
        ({"a": 1}, [said('{"a":1}')]),
        ({"role": "assistant", "content": "hi"}, [said("hi", "assistant")]),
        ({"role": "user", "content": {"type": "text", "text": "hi"}}, [said("hi")]),
        (Image(PNG), [{"role": "user", "content": Image(PNG).to_wire()}]),
        (
            [EmbeddedResource("a://b", "t"), "and?"],
            [{"role": "user", "content": EmbeddedResource("a://b", "t").to_wire()}, said("and?")],
        ),
        (Message(["look", Image(PNG)]), [said("look"), {"role": "user", "content": Image(PNG).to_wire()}]),
        ([], []),
    ],
)
def test_messages_have_one_block_each(value: Any, messages: list[dict[str, Any]]) -> None:
    """PRMT-02, PRMT-04."""
    assert prompt_result(value, "What it is for") == {"messages": messages, "description": "What it is for"}


def test_a_whole_result() -> None:
    whole = PromptResult(["hi"], description="This time", meta={"m": 1})
    assert prompt_result(whole, "Always") == {"messages": [said("hi")], "description": "This time", "_meta": {"m": 1}}
    assert prompt_result(PromptResult("hi"), "Always")["description"] == "Always"
    assert "description" not in prompt_result("hi", None)


def test_a_raw_result_passes_untouched() -> None:
    """PRMT-05."""
    raw = {"resultType": "input_required"}

    class Raw:
        def __mcp_result__(self) -> dict[str, Any]:
            return raw

    assert prompt_result(Raw(), "x") is raw


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(BadReturn):
        prompt_result(["hi", object()], None)

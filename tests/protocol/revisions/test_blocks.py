"""Content blocks are reached wherever they stand, and what has no block is said as text."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.revisions.blocks import in_blocks, in_sampling, text_block, text_instead_of_structure


def shouted(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "text": block["text"].upper()} if "text" in block else block


def test_in_results() -> None:
    """Tool results hold a list of blocks, prompt messages one each."""
    lower = in_blocks(shouted)
    assert lower["tools/call"]({"content": [{"text": "a"}, {}]}) == {"content": [{"text": "A"}, {}]}
    assert lower["prompts/get"]({"messages": [{"role": "user", "content": {"text": "a"}}]}) == {
        "messages": [{"role": "user", "content": {"text": "A"}}]
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [({"text": "a"}, {"text": "A"}), ([{"text": "a"}], [{"text": "A"}]), ("a", "a")],
)
def test_in_questions(content: Any, expected: Any) -> None:
    """SAMP-09: a sampling message holds one block or several."""
    lower = in_sampling(shouted)["sampling/createMessage"]
    assert lower({"messages": [{"content": content}]}) == {"messages": [{"content": expected}]}


def test_untouched_questions_are_not_copied() -> None:
    """Nothing to do, nothing made."""
    question = {"messages": [{"content": {"type": "image"}}, {"content": [{"type": "image"}]}]}
    assert in_sampling(shouted)["sampling/createMessage"](question) is question


def test_text_in_place_of_a_block() -> None:
    """It is for whom the block was for."""
    assert text_block("t", {"annotations": {"priority": 1}, "uri": "x"}) == {
        "type": "text",
        "text": "t",
        "annotations": {"priority": 1},
    }
    assert text_block("t", {}) == {"type": "text", "text": "t"}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"content": []}, {"content": []}),
        (
            {"content": [{"type": "text", "text": "five"}], "structuredContent": 5},
            {"content": [{"type": "text", "text": "five"}]},
        ),
        (
            {"content": [], "structuredContent": {"größe": 5}},
            {"content": [{"type": "text", "text": '{"größe":5}'}]},
        ),
        (
            {"content": [{"type": "image"}], "structuredContent": None},
            {"content": [{"type": "image"}, {"type": "text", "text": "null"}]},
        ),
        ({"structuredContent": False}, {"content": [{"type": "text", "text": "false"}]}),
    ],
)
def test_structure_as_text(result: dict[str, Any], expected: dict[str, Any]) -> None:
    """TOUT-06, TOUT-07: the value survives as JSON text, but is not said twice."""
    assert text_instead_of_structure(result) == expected

"""The changes of 2025-06-18, undone one by one."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.revisions.revision import Inexpressible
from mcpkit.protocol.revisions.v2025_03_26 import V2025_03_26
from tests.schema.samples import (
    AUDIO,
    CLIENT_CAPABILITIES,
    EMBEDDED,
    FORM,
    IMPLEMENTATION,
    INITIALIZE,
    LINK,
    RESULTS,
    SAMPLING,
    TEXT,
    TOOL,
)

LOWER = V2025_03_26.lower
UNDATED = {"audience": ["user"], "priority": 0.5}


def block(value: dict[str, Any]) -> dict[str, Any]:
    """A content block as it goes out here."""
    lowered: dict[str, Any] = LOWER["tools/call"]({"content": [value]})["content"][0]
    in_prompt = LOWER["prompts/get"]({"messages": [{"role": "user", "content": value}]})["messages"][0]["content"]
    assert in_prompt == lowered
    return lowered


def test_batches() -> None:
    """BAT-01."""
    assert V2025_03_26.batch


def test_no_structured_output() -> None:
    """TOUT-07: a text says it."""
    assert "outputSchema" not in LOWER["tools/list"]({"tools": [TOOL]})["tools"][0]
    assert LOWER["tools/call"]({"content": [], "structuredContent": {"sum": 5}}) == {
        "content": [{"type": "text", "text": '{"sum":5}'}]
    }


def test_links_are_texts() -> None:
    """SHAPE table: a text that names the URI, for the same audience."""
    assert block(LINK) == {"type": "text", "text": "A: docs://a\nThe first", "annotations": UNDATED}
    assert block({"type": "resource_link", "uri": "docs://b", "name": "b"}) == {"type": "text", "text": "b: docs://b"}


def test_blocks_have_neither_meta_nor_date() -> None:
    """META-07, SHAPE table."""
    assert block(TEXT) == {"type": "text", "text": "five", "annotations": UNDATED}
    assert block(EMBEDDED) == {
        "type": "resource",
        "resource": {"uri": "docs://a", "mimeType": "text/plain", "text": "abc"},
        "annotations": UNDATED,
    }
    assert block(AUDIO)["type"] == "audio"
    dated = {"type": "text", "text": "t", "annotations": {"lastModified": "2025-01-01"}}
    assert block(dated) == {"type": "text", "text": "t"}


@pytest.mark.parametrize(
    ("method", "items"),
    [
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
        ("resources/read", "contents"),
    ],
)
def test_items_have_neither_meta_nor_title(method: str, items: str) -> None:
    """META-07, SHAPE table; arguments of prompts too."""
    for item in LOWER[method](RESULTS[method])[items]:
        assert not {"_meta", "title", "icons"} & set(item)
        assert "lastModified" not in item.get("annotations", {})
        for argument in item.get("arguments", []):
            assert argument == {"name": "who", "description": "Whom to greet", "required": True}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        (None, {"title": "Add"}),
        ({"readOnlyHint": True}, {"title": "Add", "readOnlyHint": True}),
        ({"title": "Sum"}, {"title": "Sum"}),
    ],
)
def test_a_tools_title_is_an_annotation(annotations: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    """SHAPE table: moved, unless the annotation says its own."""
    tool: dict[str, Any] = {"name": "add", "title": "Add", "inputSchema": {"type": "object"}}
    if annotations is not None:
        tool["annotations"] = annotations
    listed = LOWER["tools/list"]({"tools": [tool]})["tools"][0]
    assert listed == {"name": "add", "inputSchema": {"type": "object"}, "annotations": expected}


def test_implementations_are_name_and_version() -> None:
    """SHAPE table, both sides."""
    bare = {"name": "demo", "version": "1.0"}
    assert LOWER["implementation"](IMPLEMENTATION) == bare
    assert LOWER["initialize"](INITIALIZE)["serverInfo"] == bare
    assert V2025_03_26.lower_params["initialize"]({"clientInfo": IMPLEMENTATION}) == {"clientInfo": bare}


def test_nothing_can_be_elicited() -> None:
    """SHAPE table: elicitation came later, for either side."""
    with pytest.raises(Inexpressible):
        LOWER["elicitation/create"]({name: FORM[name] for name in ("message", "requestedSchema")})
    assert "elicitation" not in LOWER["clientCapabilities"](CLIENT_CAPABILITIES)
    params: dict[str, Any] = {"capabilities": {"elicitation": {}, "roots": {}}}
    assert V2025_03_26.lower_params["initialize"](params) == {"capabilities": {"roots": {}}}


def test_a_completion_knows_no_context() -> None:
    """COMP-06: the client leaves it out, and the title of the reference."""
    params = {
        "ref": {"type": "ref/prompt", "name": "p", "title": "P"},
        "argument": {"name": "a", "value": ""},
        "context": {"arguments": {"b": "c"}},
    }
    assert V2025_03_26.lower_params["completion/complete"](params) == {
        "ref": {"type": "ref/prompt", "name": "p"},
        "argument": {"name": "a", "value": ""},
    }


def test_sampling_blocks_are_plain() -> None:
    """SAMP-10: audio may still be sent."""
    messages = LOWER["sampling/createMessage"](SAMPLING)["messages"]
    assert [message["content"]["type"] for message in messages] == ["text", "image", "audio"]
    assert all("_meta" not in message["content"] for message in messages)

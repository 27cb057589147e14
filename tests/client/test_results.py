"""The results of the protocol's methods."""

from __future__ import annotations

import base64

from mcpkit.client.results import (
    CallToolResult,
    CompleteResult,
    Content,
    Prompt,
    ReadResourceResult,
    ServerDescription,
    TaskState,
    Tool,
)


def test_the_name_to_show() -> None:
    """SHAPE-05: title, then the annotation's, then the name; TSEC-03: nothing that deceives."""
    assert Tool(name="n").display_name == "n"
    assert Tool(name="n", annotations={"title": "A"}).display_name == "A"
    assert Tool(name="n", title="T\u202e", annotations={"title": "A"}).display_name == "T"
    assert Tool(name="n", description="a\x1b[2J\nb").display_description == "a[2J\nb"


def test_the_data_of_a_result() -> None:
    """TOUT-05: presence decides, not truth; a bare value loses the wrapping of its server."""
    assert CallToolResult.of({"structuredContent": {"result": 8}}).data == 8
    assert CallToolResult.of({"structuredContent": {"result": 8, "x": 1}}).data == {"result": 8, "x": 1}
    assert CallToolResult.of({"structuredContent": None, "content": [{"type": "text", "text": "t"}]}).data is None
    assert CallToolResult.of({"structuredContent": False}).data is False
    assert CallToolResult.of({"content": [{"type": "text", "text": "t"}]}).data == "t"


def test_contents_as_bytes() -> None:
    """TCON-06; what is no base64 is nothing."""
    raw = base64.b64encode(b"\x00png").decode()
    assert Content(type="image", data=raw).bytes == b"\x00png"
    assert Content(type="image", data="!!!").bytes == b""
    resource = Content(type="resource", resource={"uri": "a:b", "blob": raw}).resource
    assert resource is not None
    assert resource.bytes == b"\x00png"
    read = ReadResourceResult.of({"contents": [{"uri": "a:b", "text": "é"}, {"uri": "a:c", "blob": raw}]})
    assert (read.text, read.contents[0].bytes, read.contents[1].bytes) == ("é", "é".encode(), b"\x00png")


def test_tools_that_may_be_called_twice() -> None:
    """SHM-09: only what the server itself calls read-only or idempotent; by default nothing is (TOOL-09)."""
    assert not Tool(name="n").safe_to_repeat
    assert Tool(name="n", annotations={"readOnlyHint": True}).safe_to_repeat
    assert Tool(name="n", annotations={"idempotentHint": True}).safe_to_repeat
    assert not Tool(name="n", annotations={"readOnlyHint": "yes"}).safe_to_repeat


def test_others() -> None:
    """Members that have members."""
    assert CompleteResult.of({"completion": {"values": ["a"], "hasMore": True}}).completion.values == ["a"]
    assert CompleteResult.of({}).completion.has_more is False
    assert Prompt.of({"arguments": [{"name": "x", "required": True}]}).arguments[0].required
    assert ServerDescription.of({"serverInfo": {"name": "s"}}).server_info.name == "s"
    assert ServerDescription().server_info.version == ""
    assert [TaskState(status=status).done for status in ("working", "input_required", "failed")] == [False, False, True]

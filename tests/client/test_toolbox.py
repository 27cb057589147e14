"""What is known of the tools."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mcpkit.client.errors import ProtocolViolation
from mcpkit.client.results import CallToolResult, Tool
from mcpkit.client.toolbox import Toolbox


def tool(name: Any = "t", **members: Any) -> Tool:
    return Tool.of({"name": name, "inputSchema": {"type": "object"}, **members})


def annotated(header: Any, kind: Any = "string") -> dict[str, Any]:
    return {"type": "object", "properties": {"region": {"type": kind, "x-mcp-header": header}}}


def test_arguments_are_mirrored() -> None:
    """XHDR-06, SHM-31: only annotated ones, encoded where a header could not carry them, none for null."""
    box = Toolbox()
    box.learn([tool(inputSchema=annotated("Region"))], routed=True)
    assert box.headers("t", {"region": "eu", "other": "x"}) == {"Mcp-Param-Region": "eu"}
    assert box.headers("t", {"region": "世"}) == {"Mcp-Param-Region": "=?base64?5LiW?="}
    assert box.headers("t", {"region": None}) == {}
    assert box.headers("unknown", {"region": "eu"}) == {}, "XHDR-08"


@pytest.mark.parametrize(
    "schema", [annotated(""), annotated("a b"), annotated("R", "number"), annotated("R", "object"), annotated(5)]
)
def test_tools_with_wrong_annotations_are_left_out(schema: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """XHDR-07: the others are kept, and the log says why."""
    box = Toolbox()
    with caplog.at_level(logging.WARNING, "mcpkit.client"):
        usable = box.learn([tool("bad\x1b", inputSchema=schema), tool("good")], routed=True)
    assert [one.name for one in usable] == ["good"]
    assert "the tool bad is left out" in caplog.text


def test_without_routing_an_annotation_means_nothing() -> None:
    """XHDR is of the newest revision only."""
    box = Toolbox()
    assert len(box.learn([tool(inputSchema=annotated("a b"))], routed=False)) == 1
    assert box.headers("t", {"region": "eu"}) == {}


@pytest.mark.parametrize("entry", [tool(None), tool(""), tool(5), Tool.of({"name": "x"}), tool("x", inputSchema=[])])
def test_what_is_no_tool_is_left_out(entry: Tool) -> None:
    """TOOL-02: a broken entry does not spoil the list."""
    assert Toolbox().learn([entry, tool("good")], routed=False) == [tool("good")]


def test_a_new_list_replaces_the_old() -> None:
    """A tool that went is not known any more."""
    box = Toolbox()
    box.learn([tool("a", inputSchema=annotated("R"))], routed=True)
    box.learn([tool("b")], routed=True)
    assert box.find("a") is None
    assert box.find("b") == tool("b")
    assert box.headers("a", {"region": "eu"}) == {}


def checked(schema: Any, result: dict[str, Any]) -> None:
    box = Toolbox()
    box.learn([tool(outputSchema=schema)], routed=False)
    box.check("t", CallToolResult.of(result))
    box.check("unknown", CallToolResult.of(result))


def test_output_is_checked() -> None:
    """TOUT-01, TOUT-02, TOUT-05: not where the tool failed, not where there is no schema."""
    number = {"type": "object", "properties": {"n": {"type": "integer"}}}
    checked(number, {"structuredContent": {"n": 1}})
    checked(number, {"isError": True})
    checked(None, {})
    checked({"type": "null"}, {"structuredContent": None})
    with pytest.raises(ProtocolViolation, match="not what its schema promises"):
        checked(number, {"structuredContent": {"n": "one"}})
    with pytest.raises(ProtocolViolation, match="gave none"):
        checked(number, {"content": []})
    with pytest.raises(ProtocolViolation, match="can't be checked"):
        checked({"$ref": "http://127.0.0.1:9/x"}, {"structuredContent": 1})


def test_a_schema_that_is_too_much_work_is_not_checked_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """The server's result is used all the same; whoever reads the log knows that nobody has checked it."""
    doubling = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)}
    checked({"$defs": {**doubling, "a60": {"type": "null"}}, "$ref": "#/$defs/a0"}, {"structuredContent": 1})
    assert "the output of t is not checked against its schema" in caplog.text

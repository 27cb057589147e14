"""Results as thin objects."""

from __future__ import annotations

import copy
import pickle

import pytest

from mcpkit.client.record import Record, many, maybe, wire_name
from mcpkit.client.results import CallToolResult, Content, Tool


def test_snake_case_camel_case_and_keys_are_one() -> None:
    """Issue: typed results readable in snake_case and camelCase."""
    result = CallToolResult.of({"structuredContent": {"a": 1}, "isError": True, "_meta": {"k": 1}, "vendorThing": 2})
    assert result.structured_content is result.structuredContent is result["structuredContent"]
    assert result.is_error is True
    assert result.meta == {"k": 1}
    assert result.vendor_thing == result.vendorThing == 2, "RPC-16: unknown members are there"
    with pytest.raises(AttributeError, match="no member 'nonsense'"):
        _ = result.nonsense


def test_what_is_absent_reads_as_nothing() -> None:
    """A careless server's result never makes a reader fall over."""
    tool = Tool.of({})
    assert (tool.name, tool.title, tool.input_schema, tool.icons) == ("", None, {}, [])
    assert tool.annotations.read_only_hint is None
    assert Tool.of("no object").to_dict() == {}
    assert CallToolResult.of({"content": "no list"}).content == []
    assert CallToolResult.of({"content": [1, {"type": "text", "text": "x"}, None]}).text == "x"


def test_the_dict_is_not_copied() -> None:
    """Thin: JSCH-09 wants schemas as they came."""
    schema = {"type": "object", "x": [1]}
    assert Tool.of({"inputSchema": schema}).input_schema is schema


def test_records_are_values() -> None:
    """Equal by contents, to dicts too; copied and pickled like one; never hashed."""
    one = Content(type="text", text="x", mime_type="a/b")
    assert one == {"type": "text", "text": "x", "mimeType": "a/b"}
    assert one == Content.of({"type": "text", "text": "x", "mimeType": "a/b"})
    assert one != Content.of({"type": "text"})
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert "mimeType" in one
    assert list(one) == ["type", "text", "mimeType"]
    assert "Content(" in repr(one)
    with pytest.raises(TypeError):
        hash(one)


def test_nested_records() -> None:
    """Lists leave out what is no object; a single one is None where there is none."""
    assert many(Record)([{}, 1, None]) == [Record.of({})]
    assert many(Record)(None) == []
    assert maybe(Record)("x") is None


@pytest.mark.parametrize(
    ("name", "wire"),
    [("input_schema", "inputSchema"), ("meta", "_meta"), ("ttl_ms", "ttlMs"), ("_private", "_private")],
)
def test_wire_names(name: str, wire: str) -> None:
    """One rule, no table."""
    assert wire_name(name) == wire

"""Content blocks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from mcpkit.features.content import (
    Annotations,
    Audio,
    EmbeddedResource,
    File,
    Image,
    ResourceLink,
    Text,
    as_block,
    as_blocks,
    as_json,
    as_text,
    contents_of,
)
from mcpkit.features.errors import BadReturn

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("block", "wire"),
    [
        (Text("hi"), {"type": "text", "text": "hi"}),
        (Image(PNG), {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}),
        (Image("iVBORw0KGgo=", format="WEBP"), {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/webp"}),
        (Audio(b"?", mime_type="audio/mpeg"), {"type": "audio", "data": "Pw==", "mimeType": "audio/mpeg"}),
        (Audio(b"?"), {"type": "audio", "data": "Pw==", "mimeType": "audio/wav"}),
        (
            EmbeddedResource("a://b", "text", mime_type="text/plain"),
            {"type": "resource", "resource": {"uri": "a://b", "mimeType": "text/plain", "text": "text"}},
        ),
        (
            EmbeddedResource("a://b", data=b"?"),
            {"type": "resource", "resource": {"uri": "a://b", "blob": "Pw=="}},
        ),
        (
            File(b"# hi", name="readme.md"),
            {"type": "resource", "resource": {"uri": "file:///readme.md", "mimeType": "text/markdown", "text": "# hi"}},
        ),
        (
            File(b"\xff\xfe", name="x.bin"),
            {
                "type": "resource",
                "resource": {"uri": "file:///x.bin", "mimeType": "application/octet-stream", "blob": "//4="},
            },
        ),
        (
            ResourceLink("a://b", "b", title="B", mime_type="text/plain", size=3),
            {"type": "resource_link", "uri": "a://b", "name": "b", "mimeType": "text/plain", "title": "B", "size": 3},
        ),
    ],
)
def test_blocks_on_the_wire(block: Any, wire: dict[str, Any]) -> None:
    """TCON-01, TCON-02, TCON-03."""
    assert block.to_wire() == wire
    assert as_block(block) == wire


def test_annotations_stand_on_the_block_not_inside_the_resource() -> None:
    """TCON-04, TCON-07."""
    said = Annotations(audience=["user"], priority=0.5, last_modified="2026-01-01T00:00:00Z")
    wire = EmbeddedResource("a://b", "t", annotations=said, meta={"x": 1}).to_wire()
    assert wire["annotations"] == {"audience": ["user"], "priority": 0.5, "lastModified": "2026-01-01T00:00:00Z"}
    assert wire["_meta"] == {"x": 1}
    assert wire["resource"] == {"uri": "a://b", "text": "t"}
    assert Text("t", annotations={"priority": 1}).to_wire()["annotations"] == {"priority": 1}


def test_media_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    path.write_bytes(b"?")
    assert Audio(path=path).to_wire() == {"type": "audio", "data": "Pw==", "mimeType": "audio/mpeg"}
    assert File(path=path).resource["uri"] == "file:///tone.mp3"


def test_exactly_one_of_two_is_given() -> None:
    """RSRC-04."""
    with pytest.raises(ValueError, match="one of the two"):
        Image()
    with pytest.raises(ValueError, match="one of the two"):
        Image(b"?", path="x.png")
    for text, data in ((None, None), ("t", b"d")):
        with pytest.raises(ValueError, match="one of the two"):
            contents_of("a://b", text, data, None)


def test_a_wrong_mime_type_is_refused_where_it_is_written() -> None:
    """TCON-06."""
    with pytest.raises(ValueError, match="MIME"):
        Image(b"?", mime_type="png")


def test_values_as_text() -> None:
    class Order(BaseModel):
        count: int = Field(serialization_alias="n")

    assert as_text("plain") == "plain"
    assert as_text({"a": [1, None]}) == '{"a":[1,null]}'
    assert as_text(Order(count=1)) == '{"n":1}'
    assert as_text(dt.date(2026, 1, 2)) == '"2026-01-02"'
    assert as_json({1: {2}}) == {"1": [2]}
    with pytest.raises(BadReturn, match="a value of type object, which has no JSON form"):
        as_json(object())


def test_only_lists_that_hold_content_are_taken_apart() -> None:
    assert as_blocks(["a", Image(PNG)]) == [{"type": "text", "text": "a"}, Image(PNG).to_wire()]
    assert as_blocks(["a", "b"]) == [{"type": "text", "text": '["a","b"]'}]
    assert as_blocks(None) == []


def test_a_dict_that_is_a_block_already_stays_one() -> None:
    block = {"type": "text", "text": "hi"}
    assert as_block(block) is block
    assert as_block({"type": "text"}) == {"type": "text", "text": '{"type":"text"}'}


def test_an_audience_is_a_list() -> None:
    with pytest.raises(TypeError, match="audience is a list"):
        Annotations(audience="user")


@pytest.mark.parametrize(
    ("extras", "said"),
    [
        ({"annotations": {"prio": 1}}, r"priority.*did you mean 'priority'"),
        ({"annotations": {"audience": "user"}}, "audience"),
        ({"annotations": {"priority": 7}}, "a number from 0 to 1"),
        ({"annotations": 5}, "a dict with audience"),
        ({"meta": 5}, "meta must be a dict"),
    ],
)
def test_annotations_that_nobody_would_read_are_refused(extras: dict[str, Any], said: str) -> None:
    for make in (lambda: Text("x", **extras), lambda: ResourceLink("a://b", "b", **extras)):
        with pytest.raises(TypeError, match=said):
            make()


def test_a_link_has_no_other_members() -> None:
    with pytest.raises(TypeError, match="sze"):
        ResourceLink("a://b", "b", sze=1)  # type: ignore[call-arg]  # the mistake under test
    assert ResourceLink("a://b", "b", size=0).to_wire()["size"] == 0

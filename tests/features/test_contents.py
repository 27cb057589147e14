"""What a resource's values become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mcpkit.features.contents import ResourceContents, constant, contents_list, declared_mime, size_of
from mcpkit.features.errors import BadReturn

URI = "a://b"
PNG = b"\x89PNG\r\n\x1a\n"


class Settings(BaseModel):
    theme: str = "dark"


@pytest.mark.parametrize(
    ("value", "mime_type", "wire"),
    [
        ("hi", None, {"mimeType": "text/plain", "text": "hi"}),
        ("", None, {"mimeType": "text/plain", "text": ""}),
        ("<p>", "text/html", {"mimeType": "text/html", "text": "<p>"}),
        (PNG, None, {"mimeType": "image/png", "blob": "iVBORw0KGgo="}),
        (b"?", None, {"mimeType": "application/octet-stream", "blob": "Pw=="}),
        (b"<p>", "text/html", {"mimeType": "text/html", "text": "<p>"}),
        (b"\xff", "text/html", {"mimeType": "text/html", "blob": "/w=="}),
        ({"a": 1}, None, {"mimeType": "application/json", "text": '{"a":1}'}),
        (["a"], None, {"mimeType": "application/json", "text": '["a"]'}),
        (Settings(), None, {"mimeType": "application/json", "text": '{"theme":"dark"}'}),
        (3, "text/plain", {"mimeType": "text/plain", "text": "3"}),
        (ResourceContents(b"?", "image/png"), "text/plain", {"mimeType": "image/png", "blob": "Pw=="}),
        (
            ResourceContents({"a": 1}, meta={"m": 1}),
            None,
            {"mimeType": "application/json", "text": '{"a":1}', "_meta": {"m": 1}},
        ),
    ],
)
def test_one_value(value: Any, mime_type: str | None, wire: dict[str, Any]) -> None:
    """RSRC-04, RSRC-11: exactly one of text and blob, base64 for bytes."""
    assert contents_list(value, URI, mime_type) == [{"uri": URI, **wire}]


def test_several_contents_may_have_uris_of_their_own() -> None:
    """RSRC-04."""
    listed = contents_list([ResourceContents("1", uri="a://b/1"), ResourceContents("2")], URI, None)
    assert [entry["uri"] for entry in listed] == ["a://b/1", URI]


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(BadReturn):
        contents_list(object(), URI, None)


def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"1")
    read = constant(path)
    assert read() == b"1"
    path.write_bytes(b"2")
    assert read() == b"2"
    assert constant({"a": 1})() == {"a": 1}


@pytest.mark.parametrize(
    ("returns", "uri", "mime_type"),
    [
        (Any, "a://b.md", "text/markdown"),
        (str, "a://b", "text/plain"),
        (Settings, "a://b", "application/json"),
        (dict, "a://b", "application/json"),
        (dict[str, int], "a://b", "application/json"),
        (bytes, "a://b", None),
        (list, "a://b", None),
        (ResourceContents, "a://b", None),
        (Any, "a://b", None),
    ],
)
def test_what_can_be_told_before_reading(returns: Any, uri: str, mime_type: str | None) -> None:
    assert declared_mime(returns, uri) == mime_type


@pytest.mark.parametrize(("value", "size"), [("é", 2), (b"abc", 3), ({"a": 1}, None)])
def test_sizes(value: Any, size: int | None) -> None:
    """RSRC-02: bytes, before base64."""
    assert size_of(value) == size

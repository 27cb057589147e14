"""What a resource's values become."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from mcpkit import Server
from mcpkit.features.content import Audio, EmbeddedResource, File, Image
from mcpkit.features.contents import ResourceContents, constant, contents_list, declared_mime, size_of
from mcpkit.features.errors import BadReturn
from mcpkit.features.signature import EMPTY
from mcpkit.testing import connect

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
        (Image(PNG), None, {"mimeType": "image/png", "blob": "iVBORw0KGgo="}),
        (Image(PNG), "image/x-own", {"mimeType": "image/x-own", "blob": "iVBORw0KGgo="}),
        (Audio(b"ID3"), None, {"mimeType": "audio/mpeg", "blob": "SUQz"}),
        (File(b"hi", name="a.md"), None, {"mimeType": "text/markdown", "text": "hi"}),
        (File(b"\xff", name="a.bin"), None, {"mimeType": "application/octet-stream", "blob": "/w=="}),
        (EmbeddedResource(URI, "hi"), "text/plain", {"mimeType": "text/plain", "text": "hi"}),
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
    listed = contents_list([EmbeddedResource("a://b/1", "hi"), File(b"hi", name="a.md"), Image(PNG)], URI, None)
    assert [entry["uri"] for entry in listed] == ["a://b/1", URI, URI]


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
    ("returns", "mime_type"),
    [
        (str, "text/plain"),
        (str | None, "text/plain"),
        (Annotated[str, "said"], "text/plain"),
        (Awaitable[str], "text/plain"),
        (Coroutine[Any, Any, Settings], "application/json"),
        (Settings, "application/json"),
        (dict, "application/json"),
        (dict[str, int] | Settings, "application/json"),
        (dict[str, int] | None, "application/json"),
        (str | bytes, None),
        (str | dict, None),
        (bytes, None),
        (bytearray, None),
        (list, None),
        (ResourceContents, None),
        (Any, None),
        (object, None),
        (None, None),
        (EMPTY, None),
    ],
)
def test_what_can_be_told_before_reading(returns: Any, mime_type: str | None) -> None:
    assert declared_mime(returns) == mime_type


BMP = b"BM" + bytes(12)
KINDS = [
    ("text", "text/plain"),
    (PNG, "image/png"),
    (bytearray(PNG), "image/png"),
    (memoryview(PNG), "image/png"),
    (b"\xff\xd8\xff\xe0", "image/jpeg"),
    (b"RIFF....WEBP", "image/webp"),
    (b"....ftypavif", "image/avif"),
    (BMP, "image/bmp"),
    (b"%PDF-1.7", "application/pdf"),
    (b"BMW", "application/octet-stream"),
    (b"GIF8 is no picture", "application/octet-stream"),
    (b"plain words", "application/octet-stream"),
    (b"", "application/octet-stream"),
    ({"a": 1}, "application/json"),
    ([1], "application/json"),
    (Settings(), "application/json"),
    (3, "application/json"),
]


@pytest.mark.parametrize(("value", "mime_type"), KINDS, ids=lambda value: repr(value)[:20])
async def test_the_value_tells_what_it_is_where_nobody_else_does(value: Any, mime_type: str) -> None:
    """Whatever the function's annotation leaves open."""

    def silent():  # type: ignore[no-untyped-def]  # as is the point
        return value

    def anything() -> Any:
        return value

    def several() -> str | bytes | None:
        return value  # type: ignore[no-any-return]  # as above

    def optional() -> str | None:
        return value  # type: ignore[no-any-return]  # as above

    server = Server("x")
    for function in (silent, anything, several, optional):
        server.add_resource(f"a://{function.__name__}", function)
    async with connect(server) as client:
        listed = {resource.name: resource.mime_type for resource in await client.list_resources()}
        for name in listed:
            [content] = (await client.read_resource(f"a://{name}")).contents
            assert content.mime_type == mime_type, name
    assert listed == {"silent": None, "anything": None, "several": None, "optional": "text/plain"}


@pytest.mark.parametrize(("value", "size"), [("é", 2), (b"abc", 3), ({"a": 1}, None)])
def test_sizes(value: Any, size: int | None) -> None:
    """RSRC-02: bytes, before base64."""
    assert size_of(value) == size

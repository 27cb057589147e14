"""The example resources: settings without secrets, a picture that is one, documents in the sandbox of the files."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from mcpkit.jsonrpc.errors import RpcError
from mcpkit.protocol.revisions.registry import SUPPORTED
from mcpkit.settings import Settings
from routers.files import MAX_BYTES, FileRoot
from routers.resource_router import PICTURE_SIZE, described, png, suggestions
from tests.routers.conftest import Ask


async def test_what_there_is_is_listed(ask: Ask) -> None:
    """Among what was added to it."""
    resources = [entry["uri"] for entry in (await ask("resources/list"))["resources"]]
    assert {"config://settings", "image://logo.png"} <= set(resources)
    templates = [entry["uriTemplate"] for entry in (await ask("resources/templates/list"))["resourceTemplates"]]
    assert "file:///{path*}" in templates


async def test_the_settings_hold_no_secret_and_no_path(ask: Ask, tmp_path: Path) -> None:
    (contents,) = (await ask("resources/read", uri="config://settings"))["contents"]
    assert contents["mimeType"] == "application/json"
    told = json.loads(contents["text"])
    assert (told["name"], told["version"], told["protocolVersions"]) == ("example", "1.2.3", list(SUPPORTED))
    assert told["sample"] == {"configured": True, "model": "example-1"}
    for secret in ("sk-very-secret", "a-key-of-at-least", str(tmp_path), "127.0.0.1:9"):
        assert secret not in contents["text"]


@pytest.mark.parametrize(("base_url", "model"), [(None, None), ("http://x", None), (None, "m")])
def test_a_model_that_is_half_configured_is_not(base_url: str | None, model: str | None) -> None:
    settings = replace(Settings(), base_url=base_url, model_name=model)
    assert described("n", "v", settings)["sample"]["configured"] is False


async def test_the_picture_is_a_png_that_can_be_decoded(ask: Ask) -> None:
    (contents,) = (await ask("resources/read", uri="image://logo.png"))["contents"]
    assert contents["mimeType"] == "image/png"
    data = b64decode(contents["blob"], validate=True)
    assert data == png(PICTURE_SIZE)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, kinds, pixels = 8, [], b""
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(kind + body)
        kinds.append(kind)
        pixels += body if kind == b"IDAT" else b""
        at += 12 + length
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    assert len(zlib.decompress(pixels)) == PICTURE_SIZE * (1 + 3 * PICTURE_SIZE)


async def test_a_document_is_read_as_text_or_as_a_blob(ask: Ask, settings: Settings) -> None:
    files = FileRoot(settings.files_root)
    files.write_text("notes/今天.md", "# 你好")
    files.write_text("LICENSE", "free")
    (settings.files_root / "raw.bin").write_bytes(b"\xff\x00")

    async def read(uri: str) -> object:
        (contents,) = (await ask("resources/read", uri=uri))["contents"]
        return contents

    assert await read("file:///README.md")
    assert await read("file:///notes/%E4%BB%8A%E5%A4%A9.md") == {
        "uri": "file:///notes/%E4%BB%8A%E5%A4%A9.md",
        "mimeType": "text/markdown",
        "text": "# 你好",
    }
    assert await read("file:///LICENSE") == {"uri": "file:///LICENSE", "mimeType": "text/plain", "text": "free"}
    blob = {"uri": "file:///raw.bin", "mimeType": "application/octet-stream", "blob": "/wA="}
    assert await read("file:///raw.bin") == blob


@pytest.mark.parametrize(
    "uri",
    [
        "file:///missing.txt",
        "file:///../secret.txt",
        "file:///%2e%2e/secret.txt",
        "file:///%2e%2e%2fsecret.txt",
        "file:///notes/..%2f..%2fsecret.txt",
        "file:////etc/passwd",
        "file:///%2fetc%2fpasswd",
        "file:///etc/passwd",
        "file:///README.md%00.png",
        "file:///link",
        "file:///linked/secret.txt",
        "file:///.env",
        "file:///",
        "file://localhost/etc/passwd",
        "file:///C:%5Cwindows",
    ],
)
async def test_a_document_that_is_not_there_or_not_served_is_not_found(ask: Ask, settings: Settings, uri: str) -> None:
    """STEST-05: what is outside looks exactly like what does not exist."""
    FileRoot(settings.files_root).write_text("notes/a", "a")
    (settings.files_root.parent / "secret.txt").write_text("secret")
    (settings.files_root / ".env").write_text("secret")
    (settings.files_root / "link").symlink_to("../secret.txt")
    (settings.files_root / "linked").symlink_to("..")
    with pytest.raises(RpcError, match="Resource not found") as missing:
        await ask("resources/read", uri=uri)
    assert missing.value.data == {"uri": uri}


async def test_a_document_that_is_too_large_is_told_as_such(ask: Ask, settings: Settings) -> None:
    FileRoot(settings.files_root).write_text("big", "")
    (settings.files_root / "big").write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(RpcError, match="too large"):
        await ask("resources/read", uri="file:///big")


def test_paths_are_suggested_as_they_are_typed(tmp_path: Path) -> None:
    files = FileRoot(tmp_path)
    for path in ("readme.md", "notes/one.md", "notes/two.md"):
        files.write_text(path, "")
    assert suggestions(files, "") == ["notes/", "readme.md"]
    assert suggestions(files, "re") == ["readme.md"]
    assert suggestions(files, "notes/t") == ["notes/two.md"]
    assert suggestions(files, "../") == []
    assert suggestions(files, "missing/") == []


async def test_a_client_may_ask_for_the_suggestions(ask: Ask) -> None:
    ref = {"type": "ref/resource", "uri": "file:///{path*}"}
    answer = await ask("completion/complete", ref=ref, argument={"name": "path", "value": "READ"})
    assert answer["completion"]["values"] == ["README.md"]

"""Being found: server card and catalogue (SEP-2127)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from mcpkit.protocol.revisions.registry import SUPPORTED
from mcpkit.transports.discovery import Discovery, namespace

INFO = {"name": "shop", "version": "1.2.3", "title": "Shop", "description": "d" * 300}


async def get(
    path: str, *headers: tuple[bytes, bytes], method: str = "GET", **options: Any
) -> tuple[int, dict[bytes, bytes], bytes]:
    discovery = Discovery(INFO, "/api", **options)
    door = dict(zip(discovery.paths, (discovery.card, discovery.catalogue), strict=True))[path]
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def receive() -> Any:
        raise AssertionError("nothing has to be read")

    given = [(b"host", b"mcp.example.com:8443"), *headers]
    await door({"type": "http", "method": method, "scheme": "https", "headers": given, "root_path": ""}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_the_card_says_where_and_which_and_lists_nothing() -> None:
    status, headers, body = await get("/api/server-card")
    card = orjson.loads(body)
    assert (status, headers[b"content-type"]) == (200, b"application/mcp-server-card+json")
    assert card["name"] == "com.example.mcp/shop"
    assert card["remotes"] == [
        {
            "type": "streamable-http",
            "url": "https://mcp.example.com:8443/api",
            "supportedProtocolVersions": list(SUPPORTED),
        }
    ]
    assert len(card["description"]) <= 100
    assert not {"tools", "prompts", "resources"} & set(card)


async def test_the_catalogue_leads_to_the_card() -> None:
    status, headers, body = await get("/.well-known/ai-catalog.json", public_url="https://mcp.example.com")
    assert (status, headers[b"content-type"]) == (200, b"application/ai-catalog+json")
    [entry] = orjson.loads(body)["entries"]
    assert entry == {
        "identifier": "urn:air:mcp.example.com:mcp:shop",
        "type": "application/mcp-server-card+json",
        "url": "https://mcp.example.com/api/server-card",
    }


async def test_anyone_may_read_and_keep_it() -> None:
    _, headers, body = await get("/api/server-card")
    assert headers[b"access-control-allow-origin"] == b"*"
    assert headers[b"access-control-expose-headers"] == b"ETag"
    assert headers[b"cache-control"] == b"public, max-age=3600"
    status, again, nothing = await get("/api/server-card", (b"if-none-match", b'"x", W/' + headers[b"etag"]))
    assert (status, nothing, again[b"etag"]) == (304, b"", headers[b"etag"])
    status, _, nothing = await get("/api/server-card", method="HEAD")
    assert (status, nothing) == (200, b"")
    status, _, _ = await get("/api/server-card", method="OPTIONS")
    assert status == 204
    status, refused, _ = await get("/api/server-card", method="POST")
    assert (status, refused[b"allow"]) == (405, b"GET, HEAD, OPTIONS")
    assert body


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("https://MCP.Example.com", "com.example.mcp"),
        ("http://127.0.0.1:12000", "localhost"),
        ("http://[::1]:12000", "localhost"),
        ("http://localhost:12000/root", "localhost"),
        ("http://a/b", "a"),
        ("http://<script>", "localhost"),
    ],
)
def test_names_begin_with_the_host_the_other_way_round(origin: str, name: str) -> None:
    assert namespace(origin) == name

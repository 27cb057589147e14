"""A resource is read, completed and watched by any spelling of its URI."""

from __future__ import annotations

import asyncio

import pytest

from mcpkit import Context, Server
from mcpkit.client import ServerRefused
from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.testing import connect


def offering() -> Server:
    server = Server("x")

    @server.resource("docs://café/{name}", completions={"name": ["Été"]})
    def document(name: str) -> str:
        return name

    @server.resource("stat://Café")
    def stat() -> str:
        return "stat"

    @server.tool
    def change(uri: str, ctx: Context) -> str:
        ctx.notify_resource_updated(uri)
        return uri

    return server


@pytest.mark.parametrize("revision", sorted(REVISIONS))
async def test_every_spelling_is_read(revision: str) -> None:
    spelled = {
        "docs://café/Ü x": "Ü x",
        "docs://caf%C3%A9/%C3%9C%20x": "Ü x",
        "DOCS://CAF%c3%a9/x": "x",
        "stat://Café": "stat",
        "stat://caf%C3%A9/": "stat",
    }
    async with connect(offering(), revision=revision) as client:
        for uri, text in spelled.items():
            [content] = (await client.read_resource(uri)).contents
            assert (content.uri, content.text) == (uri, text)
        with pytest.raises(ServerRefused):
            await client.read_resource("stat://cafe")


@pytest.mark.parametrize("uri", ["docs://café/{name}", "docs://caf%C3%A9/%7Bname%7D", "docs://caf%c3%a9/x"])
async def test_every_spelling_is_completed(uri: str) -> None:
    async with connect(offering()) as client:
        completed = await client.complete({"type": "ref/resource", "uri": uri}, {"name": "name", "value": ""})
    assert list(completed.values) == ["Été"]


@pytest.mark.parametrize("revision", sorted(REVISIONS))
async def test_every_spelling_is_watched(revision: str) -> None:
    async with (
        connect(offering(), revision=revision) as client,
        client.listen(uris=["docs://caf%C3%A9/x", "stat://café"]) as changes,
    ):
        for uri in ("docs://café/x", "STAT://Café/"):
            await client.call_tool("change", {"uri": uri})
            change = await asyncio.wait_for(anext(aiter(changes)), 10)
            assert change.uri == uri

"""What stands beside the protocol: the description, health, readiness, and words for the lost."""

from __future__ import annotations

import pytest
from fastapi import HTTPException

from mcpkit.fastapi import create_app, curl_line
from mcpkit.protocol.revisions.registry import SUPPORTED
from tests.fastapi.house import make_server
from tests.transports.asgi_client import Wire


async def test_the_root_says_what_this_is() -> None:
    wire = Wire(create_app(make_server()))
    answer = await wire.send("GET", path="/").done()
    assert answer.json == {
        "name": "house",
        "version": "1.2.3",
        "protocolVersions": list(SUPPORTED),
        "endpoints": {
            "mcp": "http://127.0.0.1:12000/api",
            "sse": "http://127.0.0.1:12000/sse",
            "info": "http://127.0.0.1:12000/",
        },
        "tools": 1,
        "resources": 0,
        "prompts": 0,
        "example": curl_line("http://127.0.0.1:12000/api"),
    }
    assert (await wire.send("POST", path="/").done()).status == 405
    assert (await wire.send("GET", {"host": "evil.example"}, path="/").done()).status == 421


async def test_the_root_can_be_described_by_the_application() -> None:
    app = create_app(make_server(), describe=lambda url: {"at": url})
    assert (await Wire(app).send("GET", path="/", root="/mcp").done()).json == {"at": "http://127.0.0.1:12000/mcp"}


async def test_health_and_readiness() -> None:
    app = create_app(make_server())
    wire = Wire(app)
    assert [(await wire.send("GET", path=path).done()).status for path in ("/healthz", "/readyz")] == [200, 200]
    app.drain()
    assert [(await wire.send("GET", path=path).done()).status for path in ("/healthz", "/readyz")] == [200, 503]


@pytest.mark.parametrize("path", ["/nothing", "/.well-known/oauth-protected-resource", "/healthz/", "/docs"])
async def test_anything_else_is_404_at_once(path: str) -> None:
    """mcp-remote asks for ten well-known paths first; anything but 404 means OAuth to it."""
    answer = await Wire(create_app(make_server())).send("GET", path=path).done()
    assert (answer.status, "/api" in answer.json["detail"]) == (404, True)


async def test_an_applications_own_404_keeps_its_words() -> None:
    app = create_app(make_server())

    @app.get("/mine")
    async def mine() -> None:
        raise HTTPException(404, "no such fruit", {"x-tried": "shelf"})

    answer = await Wire(app).send("GET", path="/mine").done()
    assert (answer.json, answer.headers["x-tried"]) == ({"detail": "no such fruit"}, "shelf")

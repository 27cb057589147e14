"""The OpenAPI document of an application that serves MCP."""

from __future__ import annotations

from mcpkit.fastapi import create_app
from tests.fastapi.house import make_server


async def test_the_openapi_document_shows_the_door_once() -> None:
    schema = create_app(make_server()).openapi()
    assert set(schema["paths"]) == {"/api", "/sse"}
    post = schema["paths"]["/api"]["post"]
    assert set(schema["paths"]["/api"]) == {"post"}
    assert len(post["requestBody"]["content"]["application/json"]["examples"]) == 3
    assert "error" in post["responses"]["200"]["content"]["application/json"]["examples"]

"""The base router hands registrations on to the server: decorators in every form, methods sync, async, with context."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from mcpkit.features.context import Context
from mcpkit.jsonrpc.errors import InternalError
from mcpkit.server import Server
from routers.base_router import MCPBaseRouter
from tests.exchanges import exchange


@pytest.fixture
def router() -> MCPBaseRouter:
    return MCPBaseRouter(Server("test"))


async def served(router: MCPBaseRouter, method: str, params: dict[str, Any] | None = None) -> Any:
    return await router.server.kernel.serve(exchange(method, params, revision=""))


async def test_a_method_may_be_sync_or_async_and_may_want_the_context(router: MCPBaseRouter) -> None:
    async def later(params: dict[str, Any]) -> dict[str, Any]:
        return {"said": params["word"], "how": "async"}

    def with_context(context: Context, params: dict[str, Any]) -> dict[str, Any]:
        return {"said": params["word"], "id": context.request_id}

    router.register_method("x/now", lambda params: {"said": params["word"]})
    router.register_method("x/later", later)
    router.register_method("x/context", with_context)
    assert await served(router, "x/now", {"word": "hi"}) == {"said": "hi"}
    assert await served(router, "x/later", {"word": "hi"}) == {"said": "hi", "how": "async"}
    assert await served(router, "x/context", {"word": "hi"}) == {"said": "hi", "id": 1}


async def test_a_method_that_returns_no_object_is_our_fault(router: MCPBaseRouter) -> None:
    router.register_method("x/bad", lambda params: "text")
    with pytest.raises(InternalError):
        await served(router, "x/bad")


async def test_the_decorators_are_the_servers_own(router: MCPBaseRouter) -> None:
    @router.tool
    def bare(x: int) -> int:
        return x + 1

    @router.tool(title="Called")
    def called(x: int) -> int:
        return x + 2

    @router.resource("test://data")
    def data() -> str:
        return "data"

    @router.prompt
    def hello(name: str) -> str:
        return f"hello {name}"

    assert bare(1) == 2, "the function stays a function"
    assert {tool.key for tool in router.server.tools} == {"bare", "called"}
    assert router.server.resources.find("test://data")
    assert router.server.prompts.find("hello")


async def test_what_a_router_holds_is_closed_with_the_server(router: MCPBaseRouter) -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    router.on_close(close)
    async with router.server.running():
        assert closed == []
    assert closed == ["closed"]


async def test_the_routes_can_be_included_in_an_application_of_ones_own(router: MCPBaseRouter) -> None:
    router.register_method("hello", lambda params: {"hello": params["name"]})
    app = FastAPI()
    app.include_router(router.router)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as http:
        for path in ("/api", "/api/"):
            body = {"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {"name": "Ada"}}
            answer = await http.post(path, json=body)
            assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": {"hello": "Ada"}}
    assert router.router is router.router

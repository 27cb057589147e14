"""A server as a FastAPI application of its own."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException

from mcpkit.fastapi import McpApp, create_app, mcp_router
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from tests.fastapi.house import CALL, SLASHES, alive, make_server, text
from tests.transports.asgi_client import Wire


@pytest.mark.parametrize("path", SLASHES)
async def test_both_slashes_are_served_without_a_redirect(path: str) -> None:
    """TR-07: many clients drop the body of a redirected POST."""
    assert text(await Wire(create_app(make_server())).ask(CALL, path=path)) == "nobody"


async def test_the_mcp_urls_never_reach_routing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(make_server())

    class NoDependencies:
        dependencies = ()

    async with alive(app):
        router = app.router
        monkeypatch.setattr(app, "router", NoDependencies)
        assert text(await Wire(app).ask(CALL)) == "nobody"
        monkeypatch.setattr(app, "router", router)


async def test_own_routes_live_beside_it() -> None:
    app = create_app(make_server())

    @app.get("/mine")
    async def mine() -> dict[str, bool]:
        return {"mine": True}

    assert (await Wire(app).send("GET", path="/mine").done()).json == {"mine": True}


async def test_middleware_is_obeyed_on_the_mcp_urls_too() -> None:
    """CVE-2026-33032: the fast way must not be a way around authentication."""
    app = create_app(make_server())

    class Wall:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 418, "headers": []})
                await send({"type": "http.response.body", "body": b""})

    app.add_middleware(Wall)
    for path in (*SLASHES, "/sse"):
        assert (await Wire(app).ask(CALL, path=path)).status == 418


async def test_dependencies_of_the_whole_application_are_obeyed_too() -> None:
    def nobody() -> None:
        raise HTTPException(401)

    app = create_app(make_server(), dependencies=[Depends(nobody)])
    for path in (*SLASHES, "/sse"):
        assert (await Wire(app).ask(CALL, path=path)).status == 401


@pytest.mark.parametrize("path", ["/sse", "/sse/"])
async def test_the_first_transport_is_there(path: str) -> None:
    app = create_app(make_server())
    stream = Wire(app).send("GET", path=path)
    assert (await stream.event()).data.startswith("/api?session_id=")
    app.drain()
    await stream.done()


async def test_settings_and_authentication_reach_the_gate() -> None:
    async def authenticate(headers: Any) -> Principal:
        return Principal(headers["authorization"])

    app = create_app(make_server(), Settings(allowed_hosts=("mcp.example",)), authenticate=authenticate)
    assert text(await Wire(app).ask(CALL, {"host": "mcp.example", "authorization": "alice"})) == "alice"


def test_an_app_is_a_fastapi_app() -> None:
    assert isinstance(create_app(make_server()), FastAPI)
    assert issubclass(McpApp, FastAPI)


@pytest.mark.parametrize("make", [create_app, mcp_router])
def test_what_is_no_server_and_what_are_no_settings_is_said(make: Any) -> None:
    for wrong in (5, None, type(make_server())):
        with pytest.raises(TypeError, match=f"{make.__name__} needs a Server, as Server"):
            make(wrong)
    for wrong in ({}, "", 0, Settings):
        with pytest.raises(TypeError, match=f"{make.__name__}: settings must be Settings"):
            make(make_server(), wrong)

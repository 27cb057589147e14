"""A server as a FastAPI application, and as a router in somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from sse_starlette.sse import AppStatus

from mcpkit import Context, Server
from mcpkit import fastapi as face
from mcpkit.fastapi import McpApp, as_principal, create_app, curl_line, mcp_router
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE, SUPPORTED
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from tests.transports.asgi_client import SessionWire, Wire, modern, request

CALL = request("tools/call", {"name": "who"})
SLASHES = ["/api", "/api/"]


def make_server(log: list[str] | None = None) -> Server:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[dict[str, str]]:
        (log if log is not None else []).append("up")
        yield {"db": "open"}
        (log if log is not None else []).append("down")

    server = Server("house", "1.2.3", lifespan=lifespan)

    @server.tool
    async def who(context: Context) -> str:
        """Say who calls."""
        return context.principal.id if context.principal else "nobody"

    return server


def text(answer: Any) -> str:
    value = answer.json["result"]["content"][0]["text"]
    assert isinstance(value, str)
    return value


@asynccontextmanager
async def alive(app: Any) -> AsyncIterator[None]:
    """Run the application's lifespan as a server does."""
    incoming: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outgoing: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, incoming.get, outgoing.put))
    async with asyncio.timeout(10):
        incoming.put_nowait({"type": "lifespan.startup"})
        assert (await outgoing.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        async with asyncio.timeout(10):
            incoming.put_nowait({"type": "lifespan.shutdown"})
            assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
            await task


# ── an application of its own ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", SLASHES)
async def test_both_slashes_are_served_without_a_redirect(path: str) -> None:
    """TR-07: many clients drop the body of a redirected POST."""
    assert text(await Wire(create_app(make_server())).ask(CALL, path=path)) == "nobody"


async def test_the_mcp_urls_never_reach_routing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(make_server())
    monkeypatch.setattr(app, "router", None)

    class NoDependencies:
        dependencies = ()

    monkeypatch.setattr(app, "router", NoDependencies)
    assert text(await Wire(app).ask(CALL)) == "nobody"


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


async def test_the_openapi_document_shows_the_door_once() -> None:
    schema = create_app(make_server()).openapi()
    assert set(schema["paths"]) == {"/api", "/sse"}
    post = schema["paths"]["/api"]["post"]
    assert set(schema["paths"]["/api"]) == {"post"}
    assert len(post["requestBody"]["content"]["application/json"]["examples"]) == 3
    assert "error" in post["responses"]["200"]["content"]["application/json"]["examples"]


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


async def test_the_servers_lifespan_is_the_applications() -> None:
    log: list[str] = []
    async with alive(create_app(make_server(log))):
        assert log == ["up"]
    assert log == ["up", "down"]


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


# ── going down ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_draining_gives_listeners_their_result() -> None:
    """SUB-08."""
    app = create_app(make_server())
    message, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    stream = Wire(app).post(message, headers)
    assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
    app.drain()
    assert (await stream.messages())[-1]["result"]["resultType"] == "complete"
    refused = await Wire(app).ask(message, headers)
    assert (refused.status, refused.json["id"]) == (503, 1)


async def test_a_foreign_server_that_exits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn waits for streams that never end, unless somebody ends them."""
    monkeypatch.setattr(face, "EXIT_POLL_SECONDS", 0.01)
    app = create_app(make_server())
    session = await Wire(app).open()
    async with alive(app):
        stream = session.get()
        await stream.event()
        monkeypatch.setattr(AppStatus, "should_exit", True)
        await stream.done()
        assert app.mcp_endpoint.draining
    late = create_app(make_server())
    async with alive(late):
        await asyncio.sleep(0)
        assert not late.mcp_endpoint.draining


# ── a router in somebody's application ───────────────────────────────────────────────────────────────────────────────


def current_user(x_user: Annotated[str, Header()]) -> str:
    if x_user == "mallory":
        raise HTTPException(403, "not you")
    return x_user


@pytest.mark.parametrize("path", SLASHES)
async def test_a_router_serves_both_slashes_below_a_prefix(path: str) -> None:
    app = FastAPI()
    app.include_router(mcp_router(make_server()), prefix="/tools")
    assert text(await Wire(app).ask(CALL, path=f"/tools{path}")) == "nobody"


@pytest.mark.parametrize("wrap", [lambda f: f, Depends])
async def test_the_applications_own_dependency_says_who_calls(wrap: Any) -> None:
    app = FastAPI()
    app.include_router(mcp_router(make_server(), principal=wrap(current_user)))
    wire = Wire(app)
    assert text(await wire.ask(CALL, {"x-user": "alice"})) == "alice"
    assert (await wire.ask(CALL, {"x-user": "mallory"})).status == 403
    assert (await wire.ask(CALL)).status == 422


async def test_sessions_are_bound_to_that_caller() -> None:
    """SESS-03: another's session looks unknown."""
    app = FastAPI()
    app.include_router(mcp_router(make_server(), principal=current_user))
    wire = Wire(app)
    params = {"protocolVersion": NEWEST_HANDSHAKE.name}
    opened = await wire.ask(request("initialize", params), {"x-user": "alice"})
    session = SessionWire(wire, opened.headers["mcp-session-id"], NEWEST_HANDSHAKE.name)
    assert text(await session.ask(CALL, {"x-user": "alice"})) == "alice"
    assert (await session.ask(CALL, {"x-user": "bob"})).status == 404


async def test_dependencies_given_when_including_are_obeyed() -> None:
    """CVE-2026-33032; they may name the caller by request.state.principal."""

    def authenticate(request: Request, x_user: Annotated[str, Header()]) -> None:
        request.state.principal = Principal(current_user(x_user))

    app = FastAPI()
    app.include_router(mcp_router(make_server()), dependencies=[Depends(authenticate)])
    wire = Wire(app)
    assert text(await wire.ask(CALL, {"x-user": "alice"})) == "alice"
    for path in (*SLASHES, "/sse"):
        assert (await wire.ask(CALL, {"x-user": "mallory"}, path=path)).status == 403


async def test_the_announced_uri_has_the_routers_prefix() -> None:
    """HSSE-02, HSSE-10."""
    app = FastAPI()
    app.include_router(mcp_router(make_server()), prefix="/tools")
    outer = FastAPI()
    outer.mount("/v1", app)
    stream = Wire(outer).send("GET", path="/v1/tools/sse")
    announced = (await stream.event()).data
    assert announced.startswith("/v1/tools/api?session_id=")
    assert (await Wire(outer).ask(request("ping"), path=announced)).status == 202
    assert '"result"' in (await stream.event()).data
    stream.disconnect()
    await stream.done()


async def test_the_lifespan_joins_the_applications() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[None]:
        log.append("own up")
        yield
        log.append("own down")

    app = FastAPI(lifespan=own)
    app.include_router(mcp_router(make_server(log)))
    async with alive(app):
        assert sorted(log) == ["own up", "up"]
    assert len(log) == 4


def test_who_a_dependency_may_name() -> None:
    assert as_principal(None) is None
    assert as_principal("x") == Principal("x")
    assert as_principal(Principal("y")) == Principal("y")
    for wrong in ("", 7, {"id": "x"}):
        with pytest.raises(TypeError, match="return a Principal"):
            as_principal(wrong)


def test_an_app_is_a_fastapi_app() -> None:
    assert isinstance(create_app(make_server()), FastAPI)
    assert issubclass(McpApp, FastAPI)

"""Two routes of one path: an error at start whoever was declared first, never a route that nobody reaches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse

from mcpkit import Server
from mcpkit.fastapi import create_app, mcp_router
from mcpkit.fastapi.clash import RouteClash
from mcpkit.settings import Settings
from tests.fastapi.house import CALL, alive, make_server, text
from tests.transports.asgi_client import Wire

NONE = Settings()
STACKS = pytest.mark.parametrize("stack", [(), (Middleware(GZipMiddleware),)], ids=["bare", "middleware"])


async def mine() -> str:
    return "mine"


async def started(app: Any) -> None:
    async with app.router.lifespan_context(app):
        pass


@STACKS
@pytest.mark.parametrize(
    ("path", "method"),
    [
        *(("/", "GET"), ("/api", "POST"), ("/api", "PUT"), ("/api/", "GET"), ("/sse", "GET"), ("/sse/", "PATCH")),
        *(("/metrics", "GET"), ("/healthz", "GET"), ("/readyz", "GET"), ("/api/server-card", "GET")),
        ("/.well-known/ai-catalog.json", "POST"),
    ],
)
async def test_a_route_of_a_path_that_create_app_serves_is_refused(path: str, method: str, stack: Any) -> None:
    app = create_app(make_server(), NONE, middleware=[*stack])
    app.add_api_route(path, mine, methods=[method])
    with pytest.raises(RouteClash, match=rf"^{path} is the MCP server's, and the route {method} {path} \(mine\) has"):
        await started(app)


@pytest.mark.parametrize("path", ["/api", "/sse"])
async def test_so_is_an_application_mounted_there(path: str) -> None:
    app = create_app(make_server(), NONE)
    app.mount(path, FastAPI())
    with pytest.raises(RouteClash, match=f"the application mounted at {path} has the same path"):
        await started(app)


async def test_and_a_second_server() -> None:
    app = create_app(make_server(), NONE)
    app.include_router(mcp_router(Server("other"), NONE))
    with pytest.raises(RouteClash, match="/api is the MCP server's"):
        await started(app)


async def test_nor_is_it_served_where_no_lifespan_ran(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(make_server(), NONE)
    app.add_api_route("/api", mine)
    outer = FastAPI()
    outer.mount("/m", app)
    assert (await Wire(outer).ask(CALL, path="/m/api")).status == 503
    assert "/api is the MCP server's" in caplog.text


def catch_all(app: FastAPI) -> None:
    app.add_api_route("/{rest:path}", mine, methods=["GET", "POST"])


def named(app: FastAPI) -> None:
    app.add_api_route("/{name}", mine, methods=["GET", "POST"])


def root_mount(app: FastAPI) -> None:
    app.mount("/", FastAPI())


def from_a_router(app: FastAPI) -> None:
    router = APIRouter()
    router.add_api_route("/{rest:path}", mine, methods=["POST"])
    app.include_router(router)


CATCH_ALLS = pytest.mark.parametrize("add", [catch_all, named, root_mount, from_a_router])


@CATCH_ALLS
async def test_a_catch_all_after_is_a_warning(add: Callable[[FastAPI], None], caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(make_server(), NONE)
    add(app)
    async with alive(app):
        assert text(await Wire(app).ask(CALL)) == "nobody"
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(line.startswith("/api stays the MCP server's: the ") for line in said)
    assert len(said) == len(set(said))


@CATCH_ALLS
async def test_a_catch_all_before_is_an_error(add: Callable[[FastAPI], None]) -> None:
    app = FastAPI()
    add(app)
    app.include_router(mcp_router(make_server(), NONE))
    with pytest.raises(RouteClash, match="was declared before /api and takes its requests: declare it after"):
        await started(app)


@CATCH_ALLS
async def test_for_a_router_a_catch_all_after_is_a_warning(
    add: Callable[[FastAPI], None], caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    app.include_router(mcp_router(make_server(), NONE))
    add(app)
    async with alive(app):
        assert text(await Wire(app).ask(CALL)) == "nobody"
    assert "/api stays the MCP server's" in caplog.text


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("prefix", ["", "/tools"])
async def test_for_a_router_a_route_of_its_path_is_refused_whoever_was_first(first: bool, prefix: str) -> None:
    app = FastAPI()
    if first:
        app.add_api_route(f"{prefix}/api", mine, methods=["POST"])
    app.include_router(mcp_router(make_server(), NONE), prefix=prefix)
    if not first:
        app.add_api_route(f"{prefix}/api", mine, methods=["POST"])
    with pytest.raises(RouteClash, match=f"{prefix}/api is the MCP server's"):
        await started(app)


async def test_two_routers_on_one_path_are_refused_and_side_by_side_are_not() -> None:
    app = FastAPI()
    app.include_router(mcp_router(Server("a"), NONE), prefix="/a")
    app.include_router(mcp_router(Server("b"), NONE), prefix="/b")
    await started(app)
    app.include_router(mcp_router(Server("c"), NONE), prefix="/b")
    with pytest.raises(RouteClash, match="/b/api is the MCP server's, and the route"):
        await started(app)


async def test_other_paths_and_methods_are_no_clash(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    app.add_api_route("/api", mine, methods=["PATCH"])
    app.add_api_route("/api/{name}/more", mine)
    app.include_router(mcp_router(make_server(), NONE))
    app.mount("/apis", FastAPI())
    async with alive(app):
        assert text(await Wire(app).ask(CALL)) == "nobody"
        assert (await Wire(app).send("PATCH", path="/api").done()).json == "mine"
    own = create_app(make_server(), NONE)
    own.add_api_route("/healthz", mine, methods=["POST"])
    own.mount("/.well-known", FastAPI())
    await started(own)
    assert "stays the MCP server's" in caplog.text, "what is mounted above is told of, and is no error"


async def test_an_application_may_say_itself_what_a_lost_visitor_hears() -> None:
    """Handlers that the application gives are obeyed, also for 404."""

    async def handler(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("my words", 404)

    app = create_app(make_server(), NONE, exception_handlers={404: handler})
    assert (await Wire(app).send("GET", path="/nothing").done()).body == b"my words"


async def test_origins_of_a_cors_middleware_may_call_an_included_server(caplog: pytest.LogCaptureFixture) -> None:
    """Not preflight 200 and then the call 403; what it doesn't name is said to be refused."""
    for origins, status, told in ((["https://web.example"], 200, False), (["*"], 403, True)):
        app = FastAPI()
        app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
        app.include_router(mcp_router(make_server(), NONE))
        async with alive(app):
            wire = Wire(app)
            assert (await wire.ask(CALL, {"origin": "https://web.example"})).status == status
            assert (await wire.ask(CALL, {"origin": "https://evil.example"})).status == 403
        assert ("unless MCP_ALLOWED_ORIGINS names them" in caplog.text) is told


def test_an_option_that_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="create_app knows no option 'open_path'; did you mean 'open_paths'"):
        create_app(make_server(), NONE, open_path={"/x"})


async def test_a_body_limit_of_the_application_is_obeyed_on_the_mcp_urls(caplog: pytest.LogCaptureFixture) -> None:
    router = FastAPI()
    router.include_router(mcp_router(make_server(), NONE), max_body_size=10)
    whole = FastAPI(max_body_size=10)
    whole.include_router(mcp_router(make_server(), NONE))
    for app in (create_app(make_server(), NONE, max_body_size=10), router, whole):
        for pieces in ([b"x" * 11], [b"{", b"x" * 20]):
            call = await Wire(app).send("POST", {"content-length": None}, pieces, path="/api").done()
            assert call.status == 413
        assert (await Wire(app).send("GET", path="/docs").done()).status in {200, 404}
    assert not [record for record in caplog.records if record.exc_info]

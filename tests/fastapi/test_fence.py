"""What stands around the routes that people add to ``create_app``: nothing is open by oversight (CVE-2026-33032)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketDisconnect

from mcpkit.fastapi import McpApp, create_app
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from tests.fastapi.house import CALL, make_server
from tests.fastapi.starlette_client import TestClient
from tests.transports.asgi_client import Wire

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
GOOD = {"authorization": "Bearer good"}
EVIL = {"origin": "https://evil.example"}
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "x-own, content-type"}
SETTINGS = Settings(allowed_hosts=("mcp.example",), allowed_origins=("https://web.example",))
SHAPES = pytest.mark.parametrize("path", ["/own", "/items/7", "/mounted/deep", "/starlette/deep", "/free/text"])
STACKS = pytest.mark.parametrize("stack", [(), (Middleware(GZipMiddleware),)], ids=["bare", "middleware"])


async def known(headers: Mapping[str, str]) -> Principal:
    if headers.get("authorization") != "Bearer good":
        raise Refused(401, "who are you?", [(b"www-authenticate", b"Bearer")])
    return Principal("alice")


def make_app(*, authenticated: bool, reached: list[Any] | None = None, **options: Any) -> McpApp:
    """An application with one route of each kind; ``reached`` tells which caller came through."""
    app = create_app(make_server(), SETTINGS, authenticate=known if authenticated else None, **options)
    came = reached if reached is not None else []

    async def own(request: Request) -> PlainTextResponse:
        came.append(getattr(request.state, "principal", None))
        return PlainTextResponse("secret")

    async def talk(websocket: WebSocket) -> None:
        came.append(getattr(websocket.state, "principal", None))
        await websocket.accept()
        await websocket.send_text("secret")
        await websocket.close()

    sub, outer = FastAPI(), FastAPI()
    for path in ("/own", "/items/{number}"):
        app.add_api_route(path, own, methods=[*METHODS])
    app.add_api_route("/hooks/{name}", own, methods=[*METHODS])
    for host in (sub, outer):
        host.add_api_route("/deep", own, methods=[*METHODS])
        host.add_api_websocket_route("/talk", talk)
    app.mount("/mounted", sub)
    app.router.mount("/starlette", outer.router)
    app.add_api_websocket_route("/talk", talk)
    app.add_api_route("/free/{rest:path}", own, methods=[*METHODS])
    return app


@SHAPES
@STACKS
@pytest.mark.parametrize("method", METHODS)
async def test_with_authentication_no_method_of_any_route_is_open(path: str, stack: Any, method: str) -> None:
    reached: list[Any] = []
    wire = Wire(make_app(authenticated=True, reached=reached, middleware=[*stack]))
    for headers in ({}, {"authorization": "Bearer bad"}, {"access-control-request-method": "POST"}, EVIL):
        assert (await wire.send(method, headers, path=path).done()).status in {401, 403}
    assert (await wire.send(method, {**GOOD, **EVIL}, path=path).done()).status == 403
    assert (await wire.send(method, {**GOOD, "host": "evil.example"}, path=path).done()).status == 421
    assert reached == []
    assert (await wire.send(method, {**GOOD, "host": "mcp.example"}, path=path).done()).status == 200
    assert reached == [Principal("alice")]


@SHAPES
@STACKS
async def test_with_authentication_a_preflight_is_answered_and_reaches_no_handler(path: str, stack: Any) -> None:
    reached: list[Any] = []
    wire = Wire(make_app(authenticated=True, reached=reached, middleware=[*stack]))
    asked = await wire.send("OPTIONS", {**PREFLIGHT, "origin": "https://web.example"}, path=path).done()
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == "https://web.example"
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert asked.headers["access-control-allow-headers"] == "x-own, content-type"
    refused = await wire.send("OPTIONS", {**PREFLIGHT, **EVIL}, path=path).done()
    assert (refused.status, "access-control-allow-origin" in refused.headers) == (403, False)
    odd = {"access-control-request-method": "PO ST", "access-control-request-headers": "a b, ok\x01"}
    asked = await wire.send("OPTIONS", {**odd, "origin": "https://web.example"}, path=path).done()
    assert (asked.headers["access-control-allow-methods"], asked.headers["access-control-allow-headers"]) == ("", "")
    assert reached == []


async def test_a_cors_middleware_answers_preflights_and_its_origins_may_call() -> None:
    """Not preflight 200 and then the call 403."""
    reached: list[Any] = []
    cors = Middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_methods=["POST"])
    wire = Wire(make_app(authenticated=True, reached=reached, middleware=[cors]))
    shop = {"origin": "https://shop.example"}
    asked = await wire.send("OPTIONS", {**shop, "access-control-request-method": "POST"}, path="/own").done()
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert (await wire.send("OPTIONS", {**PREFLIGHT, **EVIL}, path="/own").done()).status == 400
    assert reached == []
    assert (await wire.send("POST", {**shop, **GOOD}, path="/own").done()).status == 200
    assert (await wire.send("POST", {**EVIL, **GOOD}, path="/own").done()).status == 403
    assert (await wire.ask(CALL, {**shop, **GOOD})).status == 200
    assert (await wire.ask(CALL, {**EVIL, **GOOD})).status == 403


@SHAPES
@STACKS
@pytest.mark.parametrize("method", METHODS)
async def test_without_authentication_foreign_hosts_and_foreign_pages_are_kept_out(
    path: str, stack: Any, method: str
) -> None:
    wire = Wire(make_app(authenticated=False, middleware=[*stack]))
    assert (await wire.send(method, path=path).done()).status == 200
    assert (await wire.send(method, {"host": "mcp.example"}, path=path).done()).status == 200
    assert (await wire.send(method, {"host": "evil.example"}, path=path).done()).status == 421
    assert (await wire.send(method, raw=[(b"host", b"localhost")], path=path).done()).status == 400
    assert (await wire.send(method, EVIL, path=path).done()).status == (200 if method in SAFE else 403)
    assert (await wire.send(method, {"origin": "https://web.example"}, path=path).done()).status == 200


@pytest.mark.parametrize("path", ["/talk", "/mounted/talk", "/starlette/talk"])
@pytest.mark.parametrize(
    ("authenticated", "headers", "let_in"),
    [
        (True, {}, False),
        (True, {"authorization": "Bearer bad"}, False),
        (True, GOOD, True),
        (True, {**GOOD, "host": "evil.example"}, False),
        (True, {**GOOD, **EVIL}, False),
        (False, {}, True),
        (False, {"host": "evil.example"}, False),
        (False, EVIL, False),
        (False, {"origin": "https://web.example"}, True),
    ],
)
def test_web_sockets_are_fenced_too(path: str, authenticated: bool, headers: dict[str, str], let_in: bool) -> None:
    """A page may open one to any origin, with no preflight; an HTTP server answers the refusal as 403."""
    reached: list[Any] = []
    with TestClient(make_app(authenticated=authenticated, reached=reached), base_url="http://localhost") as http:
        if let_in:
            with http.websocket_connect(path, headers=headers) as talk:
                assert talk.receive_text() == "secret"
        else:
            with pytest.raises(WebSocketDisconnect) as refused, http.websocket_connect(path, headers=headers):
                pass
            assert refused.value.code == 1008
    assert len(reached) == let_in
    if let_in and authenticated:
        assert reached == [Principal("alice")]


@STACKS
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_open_to_reading_by_any_name_and_to_nothing_else(path: str, stack: Any) -> None:
    """A route for everything behind it must not be reached by another method."""
    reached: list[Any] = []
    app = make_app(authenticated=True, reached=reached, middleware=[*stack])

    @app.post("/{rest:path}")
    async def everything(rest: str) -> str:
        reached.append(rest)
        return "secret"

    wire = Wire(app)
    for method in ("GET", "HEAD"):
        assert (await wire.send(method, {"host": "10.0.0.9"}, path=path).done()).status == 200
    for method in ("POST", "DELETE", "OPTIONS"):
        assert (await wire.send(method, path=path).done()).status == 401
    for gated in ("/", "/metrics", "/api/server-card", "/.well-known/ai-catalog.json"):
        assert (await wire.send("POST", path=gated).done()).status in {401, 405}
    assert reached == []


@STACKS
async def test_below_a_root_path_the_same_holds(stack: Any) -> None:
    wire = Wire(make_app(authenticated=True, middleware=[*stack]))
    for path, bare, known in (("/healthz", 200, 200), ("/own", 401, 200), ("/api/server-card", 200, 200)):
        assert (await wire.send("GET", path=path, root="/v1").done()).status == bare
        assert (await wire.send("GET", GOOD, path=path, root="/v1").done()).status == known


@STACKS
async def test_paths_may_be_opened_by_name(stack: Any) -> None:
    reached: list[Any] = []
    open_paths = {"/own", "/hooks/{name}"}
    app = make_app(authenticated=True, reached=reached, open_paths=open_paths, middleware=[*stack])
    wire = Wire(app)
    for path in ("/own", "/hooks/stripe"):
        for method in METHODS:
            assert (await wire.send(method, EVIL, path=path).done()).status == 200
        assert (await wire.send("POST", {"host": "evil.example"}, path=path).done()).status == 421
    assert len(reached) == 2 * len(METHODS)
    for path in ("/own/", "/items/7", "/hooks/a/b", "/hooks/", "/mounted/own"):
        assert (await wire.send("POST", path=path).done()).status == 401


@pytest.mark.parametrize("wrong", ["/webhook", b"/webhook", [5]])
def test_open_paths_are_a_collection_of_texts(wrong: Any) -> None:
    with pytest.raises(TypeError, match="open_paths are the paths of routes"):
        create_app(make_server(), SETTINGS, open_paths=wrong)


@pytest.mark.parametrize("wrong", ["webhook", "/", "/api", "/sse", ""])
def test_open_paths_are_routes_of_ones_own(wrong: str) -> None:
    with pytest.raises(ValueError, match="paths of routes of your own"):
        create_app(make_server(), SETTINGS, open_paths={wrong})


def test_an_open_path_that_no_route_serves_is_an_error_at_start() -> None:
    app = make_app(authenticated=True, open_paths={"/onw"})
    with pytest.raises(ValueError, match="open_paths names '/onw', which no route serves"), TestClient(app):
        pass


def test_the_test_clients_own_host_is_served_to_the_test_client_alone() -> None:
    with TestClient(make_app(authenticated=False)) as http:
        assert http.get("/own").text == "secret"
        assert http.post("/api", json=CALL).status_code == 200
        assert http.get("/").json()["endpoints"]["mcp"] == "http://testserver/api"
        assert http.get("/own", headers={"host": "evil.example"}).status_code == 421
        assert http.post("/api", json=CALL, headers={"host": "evil.example"}).status_code == 421


async def test_from_a_socket_that_host_is_refused_even_after_the_test_client_came() -> None:
    app = make_app(authenticated=False)
    with TestClient(app) as http:
        assert http.post("/api", json=CALL).status_code == 200
    wire = Wire(app)
    for host in ("testserver", "testserver:80", "testclient"):
        assert (await wire.ask(CALL, {"host": host})).status == 421
        assert (await wire.send("GET", {"host": host}, path="/own").done()).status == 421


@pytest.mark.parametrize("client", [("testclient", 0), ("127.0.0.1", 50000), ("testserver", 50000), None])
async def test_an_address_that_a_proxy_may_name_is_not_the_test_clients(client: Any) -> None:
    app = make_app(authenticated=False)

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": client}, receive, send)

    assert (await Wire(seen).ask(CALL, {"host": "testserver"})).status == 421

"""The lifespan where nothing runs it: mounts, sub-applications, a test client without ``with``. Never half a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Host, Mount, Router

from mcpkit import Context, Server
from mcpkit.fastapi import create_app, lifespan, mcp_router
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from tests.fastapi.house import alive, text
from tests.fastapi.starlette_client import TestClient
from tests.transports.asgi_client import SessionWire, Wire, modern, request

CALL = request("tools/call", {"name": "look"})
NONE = Settings()
Log = list[str]


def make_server(log: Log) -> Server:
    @asynccontextmanager
    async def life(server: Server) -> AsyncIterator[dict[str, str]]:
        log.append("up")
        try:
            yield {"db": "open"}
            log.append("down")
        finally:
            log.append("closed")

    server = Server("late", lifespan=life)

    @server.tool
    def look(ctx: Context) -> str:
        """Look."""
        return str(ctx.lifespan_context["db"])

    return server


def mounted(server: Server) -> Any:
    app = FastAPI()
    app.mount("/m", create_app(server, NONE))
    return app


def mounted_with_middleware(server: Server) -> Any:
    app = FastAPI()
    app.mount("/m", create_app(server, NONE, middleware=[Middleware(GZipMiddleware)]))
    return app


def in_starlette(server: Server) -> Any:
    return Starlette(routes=[Mount("/m", app=create_app(server, NONE))])


def by_host(server: Server) -> Any:
    return Starlette(routes=[Host("localhost", app=Router([Mount("/m", app=create_app(server, NONE))]))])


def twice(server: Server) -> Any:
    app, inner = FastAPI(), Starlette(routes=[Mount("/in", app=create_app(server, NONE))])
    app.mount("/m", inner)
    return app


def in_a_sub_application(server: Server) -> Any:
    app, sub = FastAPI(), FastAPI()
    sub.include_router(mcp_router(server, NONE))
    app.mount("/m", sub)
    return app


MOUNTS = pytest.mark.parametrize(
    ("make", "path"),
    [
        (mounted, "/m/api"),
        (mounted_with_middleware, "/m/api"),
        (in_starlette, "/m/api"),
        (by_host, "/m/api"),
        (twice, "/m/in/api"),
        (in_a_sub_application, "/m/api"),
    ],
)


def plain(server: Server) -> Any:
    return create_app(server, NONE)


def included(server: Server) -> Any:
    app = FastAPI()
    app.include_router(mcp_router(server, NONE))
    return app


def nested(server: Server) -> Any:
    app, inner = FastAPI(), APIRouter()
    inner.include_router(mcp_router(server, NONE))
    app.include_router(inner)
    return app


Make = Callable[[Server], Any]


@MOUNTS
async def test_a_mount_has_its_servers_lifespan(make: Make, path: str, caplog: pytest.LogCaptureFixture) -> None:
    log: Log = []
    app = make(make_server(log))
    async with alive(app):
        wire = Wire(app)
        wire.host = "localhost"
        calls = [wire.post(CALL, path=path) for _ in range(3)]
        assert [text(await call.done()) for call in calls] == ["open"] * 3
        assert text(await wire.ask(CALL, path=path)) == "open"
    assert log == ["up"], "once"
    [warning] = caplog.records
    assert (warning.levelno, warning.name) == (logging.WARNING, "mcpkit.lifespan")
    said = warning.getMessage()
    mount = path.removesuffix("/api")
    assert f"the server 'late' when the first request came to {path} below the mount {mount}" in said
    assert "include_router(mcp_router(server)) instead of mount()" in said


@MOUNTS
def test_it_ends_with_the_event_loop_and_begins_anew_in_the_next(make: Make, path: str) -> None:
    log: Log = []
    app = make(make_server(log))

    async def ask() -> str:
        async with asyncio.timeout(10):
            wire = Wire(app)
            wire.host = "localhost"
            return text(await wire.ask(CALL, path=path))

    assert [asyncio.run(ask()) for _ in range(2)] == ["open", "open"]
    assert log == ["up", "closed"] * 2, "cut off where it waited: what follows the yield is not run"


@pytest.mark.parametrize("make", [plain, included, nested])
def test_a_test_client_without_with_gets_one_too(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    log: Log = []
    http = TestClient(make(make_server(log)), base_url="http://localhost")
    for _ in range(2):
        assert http.post("/api", json=CALL).json()["result"]["content"][0]["text"] == "open"
    assert log == ["up", "closed"] * 2
    [warning] = [record for record in caplog.records if record.name == "mcpkit.lifespan"]
    assert "with TestClient(app) as client" in warning.getMessage()


@pytest.mark.parametrize("make", [plain, included, nested])
def test_with_with_it_is_in_order_and_can_begin_again(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    log: Log = []
    app = make(make_server(log))
    for _ in range(2):
        with TestClient(app, base_url="http://localhost") as http:
            assert http.post("/api", json=CALL).json()["result"]["content"][0]["text"] == "open"
            assert make is not plain or http.get("/readyz").status_code == 200
    assert log == ["up", "down", "closed"] * 2
    assert not [record for record in caplog.records if record.name == "mcpkit.lifespan"]


async def test_after_an_end_sessions_open_again() -> None:
    """A test suite enters the same application once for each test."""
    app = create_app(make_server([]), NONE)
    for _ in range(2):
        async with alive(app):
            session = await Wire(app).open()
            stream = session.get()
            await stream.event()
            stream.disconnect()
            await stream.done()


async def test_an_outer_lifespan_that_enters_the_server_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    log: Log = []
    server = make_server(log)

    @asynccontextmanager
    async def outer(app: Any) -> AsyncIterator[None]:
        async with server.running():
            yield

    app = FastAPI(lifespan=outer)
    app.mount("/m", create_app(server, NONE))
    async with alive(app):
        assert text(await Wire(app).ask(CALL, path="/m/api")) == "open"
    assert (log, caplog.records) == (["up"], [])


async def test_a_server_without_one_is_no_news_either(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    server = Server("bare")
    app.mount("/m", create_app(server, NONE))
    assert (await Wire(app).ask(request("ping"), path="/m/api")).status == 200
    assert caplog.records == []


async def test_the_lifespan_that_create_app_was_given_is_not_left_out() -> None:
    log: Log = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[dict[str, str]]:
        log.append("own up")
        yield {"pool": "P"}

    app, sub = FastAPI(), create_app(make_server(log), NONE, lifespan=own)

    @sub.get("/mine")
    async def mine(request: Request) -> dict[str, str]:
        return {"pool": request.state.pool}

    app.mount("/m", sub)
    wire = Wire(app)
    assert (await wire.send("GET", path="/m/mine").done()).json == {"pool": "P"}
    assert sorted(log) == ["own up", "up"]
    assert text(await wire.ask(CALL, path="/m/api")) == "open"
    assert (await wire.send("GET", path="/m/mine").done()).json == {"pool": "P"}
    assert len(log) == 2


@pytest.mark.parametrize(("make", "path"), [(mounted, "/m/api"), (in_a_sub_application, "/m/api"), (plain, "/api")])
async def test_a_late_start_that_fails_is_503_and_tried_again(
    make: Make, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = True

    @asynccontextmanager
    async def life(server: Server) -> AsyncIterator[dict[str, str]]:
        if broken:
            raise LookupError("the secret database is away")
        yield {"db": "open"}

    server = Server("late", lifespan=life)
    server.register_method("db", lambda context, params: context.lifespan_context)
    wire = Wire(make(server))
    calls = [wire.post(request("db"), path=path) for _ in range(3)]
    for call in calls:
        answer = await call.done()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert "could not be started" in answer.json["error"]["message"]
        assert b"secret" not in answer.body
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(record.exc_info[1]) for record in failures if record.exc_info] == ["the secret database is away"]
    broken = False
    assert (await wire.ask(request("db"), path=path)).json["result"] == {"db": "open"}


@pytest.mark.parametrize("error", [asyncio.CancelledError, StopIteration, KeyboardInterrupt, SystemExit])
async def test_a_late_start_that_ends_by_more_than_an_exception_is_503_too(error: type[BaseException]) -> None:
    @asynccontextmanager
    async def life(server: Server) -> AsyncIterator[None]:
        raise error("the secret database is away")
        yield

    for make, path in ((mounted, "/m/api"), (plain, "/api")):
        wire = Wire(make(Server("late", lifespan=life)))
        for _ in range(2):
            answer = await wire.ask(request("ping"), path=path)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert b"secret" not in answer.body


async def test_health_is_answered_without_it() -> None:
    log: Log = []
    app = create_app(make_server(log), NONE)
    assert (await Wire(app).send("GET", path="/healthz").done()).status == 200
    assert log == []


async def test_streams_below_a_mount_end_when_a_foreign_server_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What watches for that runs in the late lifespan too."""
    monkeypatch.setattr(lifespan, "EXIT_POLL_SECONDS", 0.01)
    app = mounted(make_server([]))
    message, headers = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    stream = Wire(app).post(message, headers, path="/m/api")
    assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
    monkeypatch.setattr(AppStatus, "should_exit", True)
    assert (await stream.messages())[-1]["result"]["resultType"] == "complete"


async def test_a_web_socket_beside_it_waits_for_the_lifespan_too() -> None:
    log: Log = []
    app = create_app(make_server(log), NONE)

    @app.websocket("/talk")
    async def talk(websocket: WebSocket) -> None:
        log.append("talk")
        await websocket.accept()
        await websocket.close()

    def speak() -> None:
        http = TestClient(app, base_url="http://localhost")
        with http.websocket_connect("/talk"):
            pass

    await asyncio.to_thread(speak)
    assert log[:2] == ["up", "talk"]


async def test_sessions_work_below_a_mount() -> None:
    app = mounted(make_server([]))
    wire = Wire(app)
    opened = await wire.ask(request("initialize", {"protocolVersion": NEWEST_HANDSHAKE.name}), path="/m/api")
    session = SessionWire(wire, opened.headers["mcp-session-id"], NEWEST_HANDSHAKE.name)
    assert text(await session.ask(CALL, path="/m/api")) == "open"

"""What runs beside an application, from its start to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from sse_starlette.sse import AppStatus

from mcpkit import Server
from mcpkit.extensions.tasks import IDENTIFIER, Tasks
from mcpkit.extensions.tasks_redis import RedisTasks
from mcpkit.fastapi import create_app, lifespan, mcp_router
from mcpkit.fastapi.lifespan import replica_of
from mcpkit.settings import Settings
from tests.fastapi.house import alive, make_server
from tests.transports.asgi_client import Wire, modern


async def test_the_servers_lifespan_is_the_applications() -> None:
    log: list[str] = []
    async with alive(create_app(make_server(log))):
        assert log == ["up"]
    assert log == ["up", "down"]


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
    monkeypatch.setattr(lifespan, "EXIT_POLL_SECONDS", 0.01)
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


def test_with_redis_results_that_are_kept_are_shared() -> None:
    server = Server("s")
    replica = replica_of(server, Settings(redis_url="redis://127.0.0.1:1"))
    assert replica is not None
    assert server.tools.cached.results is replica.results
    assert replica_of(server, Settings()) is None


@pytest.mark.parametrize("serve", [create_app, mcp_router])
def test_extensions_that_the_settings_name_are_there_and_shared(serve: Any) -> None:
    """Whatever starts the application: it need not be ours."""
    server = Server("s")
    serve(server, Settings(extensions=("tasks",), redis_url="redis://127.0.0.1:1"))
    assert server.installed(IDENTIFIER)
    [tasks] = server.extensions
    assert isinstance(tasks, Tasks)
    assert isinstance(tasks._store, RedisTasks)

"""Whole requests past ASGI: where nobody stands in between, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Any

import pytest
from fastapi import Depends

from mcpkit import Server
from mcpkit.fastapi import create_app
from mcpkit.fastapi.app import McpApp
from mcpkit.security.principal import Principal
from mcpkit.transports.asgi import Asked, Refused
from tests.transports.sockets import serving
from tests.transports.test_swift import ERA, Passing, call, text


class Doorman(Passing):
    """Middleware that lets nobody in who has been let in twice."""

    seen = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen += scope["type"] == "http"
        if self.seen <= 2:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


def echoing(**options: Any) -> McpApp:
    """An application with a tool."""
    server = Server("swift")

    @server.tool
    async def echo(text: str) -> str:
        return text

    return create_app(server, **options)


def target(path: str, root: str = "") -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "query_string": b"", "root_path": root}


def test_what_serves_a_target_directly() -> None:
    app = echoing()
    for path in ("/api", "/api/"):
        assert app.direct_door(target(path)) == app.mcp_endpoint.direct
    for path in ("/", "/sse", "/healthz", "/apis", "/nothing"):
        assert app.direct_door(target(path)) is None
    assert app.direct_door(target("/below/api", "/below")) == app.mcp_endpoint.direct


def test_nothing_goes_past_what_stands_before_the_whole_application() -> None:
    def depends() -> None:
        """A dependency."""

    guarded = echoing(dependencies=[Depends(depends)])
    assert guarded.direct_door(target("/api")) is None
    app = echoing()
    app.add_middleware(Passing)
    assert app.direct_door(target("/api")) is None


def test_nothing_goes_past_a_call_that_was_overridden() -> None:
    class Own(McpApp):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """Something else."""

    app = echoing()
    app.__class__ = Own
    assert app.direct_door(target("/api")) is None


class Wrapper(Doorman):
    """Middleware around an application, which shows what that has."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_middleware_sees_every_request(wrapped: bool) -> None:
    """Also of a client that repeats itself."""
    app: Any = Wrapper(echoing()) if wrapped else echoing()
    if not wrapped:
        app.add_middleware(Doorman)
    async with serving(app) as place:
        connection, statuses = await place.connect(), []
        for _ in range(4):
            connection.post(call("echo", text="x"), ERA)
            statuses.append((await connection.answer())[0])
    assert statuses == [200, 200, 403, 403]


async def test_who_calls_is_asked_every_time() -> None:
    """TOK-09: a head that was seen before says nothing of whether its token still holds."""
    asked: list[str] = []

    async def authenticate(headers: Mapping[str, str]) -> Principal:
        asked.append(headers.get("authorization", ""))
        if asked[-1] != "Bearer good" or len(asked) > 4:
            raise Refused(401, "no", [(b"www-authenticate", b"Bearer")])
        return Principal("somebody", expires=time() + 60)

    async with serving(echoing(authenticate=authenticate)) as place:
        connection, statuses = await place.connect(), []
        for token in ("good", "good", "bad", "good", "good", "good"):
            connection.post(call("echo", text="x"), ERA, f"Authorization: Bearer {token}")
            statuses.append((await connection.answer())[0])
    assert statuses == [200, 200, 401, 200, 401, 401]
    assert len(asked) == 6


async def test_what_ends_a_call_ends_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours, or whatever a handler raises, is answered; the server goes on."""
    app = echoing()

    async def leave(asked: Asked) -> None:
        raise SystemExit(3)

    async with serving(app) as place:
        connection = await place.connect()
        connection.post(call("echo", text="x"), ERA)
        assert await text(connection) == "x"
        [line] = place.program.server_state.connections
        known = line.places[b"POST /api HTTP/1.1"]
        monkeypatch.setattr(known, "direct", leave)
        connection.post(call("echo", text="x"), ERA)
        assert (await connection.answer())[0] == 500
        monkeypatch.undo()
        connection = await place.connect()
        connection.post(call("echo", text="x"), ERA)
        assert await text(connection) == "x"

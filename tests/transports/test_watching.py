"""Hearing of a resource's changes wants what reading it wants, at every door: its scopes, and that it exists at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit import Server
from mcpkit.protocol.changes import Notice
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, REVISIONS
from mcpkit.security.principal import Principal
from mcpkit.sessions.memory import MemoryStore
from mcpkit.settings import Settings
from mcpkit.transports.gate import Gate
from mcpkit.transports.streamable_http import McpEndpoint
from tests.pipes import Pipe, enveloped
from tests.transports.asgi_client import Wire, modern, notification, request
from tests.transports.test_http_sse import Sse

URIS = {"open": "docs://open", "scoped": "docs://scoped", "template": "docs://scoped/1", "hidden": "docs://hidden"}
WATCH = "resources/subscribe"
LISTEN = "subscriptions/listen"


def build() -> Server:
    server = Server("watched")
    server.add_resource(URIS["open"], "for all")
    server.add_resource(URIS["scoped"], "for few", scopes=["read"])

    @server.resource("docs://scoped/{id}", scopes=["read"])
    def one(id: str) -> str:
        return id

    server.add_resource(URIS["hidden"], "for nobody", visible=lambda exchange: False)
    return server


def endpoint(server: Server, scopes: tuple[str, ...] = ()) -> McpEndpoint:
    async def authenticate(headers: Any) -> Principal:
        return Principal("eve", frozenset(scopes))

    settings = Settings()
    return McpEndpoint(server.kernel, MemoryStore(), Gate(settings, authenticate), settings)


@pytest.mark.parametrize("name", ["scoped", "template"])
@pytest.mark.parametrize("revision", sorted(HANDSHAKE_NAMES))
async def test_a_session_may_watch_what_it_may_read(revision: str, name: str) -> None:
    """403 with a challenge, as for reading; in a batch and over HTTP+SSE an error with the same data."""
    server, asked = build(), {"uri": URIS[name]}
    session = await Wire(endpoint(server)).open(revision)
    read, watched = [await session.ask(request(method, asked)) for method in ("resources/read", WATCH)]
    assert (read.status, watched.status) == (403, 403)
    assert read.json == watched.json
    assert read.headers["www-authenticate"] == watched.headers["www-authenticate"]
    assert (await session.ask(request(WATCH, {"uri": URIS["open"]}))).json["result"] == {}
    if REVISIONS[revision].batch:
        [error] = (await session.ask([request(WATCH, asked)])).json
        assert error["error"]["data"] == {"requiredScopes": ["read"]}
    allowed = await Wire(endpoint(server, ("read",))).open(revision)
    assert (await allowed.ask(request(WATCH, asked))).json["result"] == {}


@pytest.mark.parametrize("revision", sorted(HANDSHAKE_NAMES))
async def test_so_on_a_stream_and_on_a_pipe(revision: str) -> None:
    server = build()
    served: Any = endpoint(server)
    stream = Wire(served.sse, "/sse").send("GET", {"accept": "text/event-stream"})
    house: Any = type("House", (), {"wire": Wire(served)})
    client = Sse(house, stream, (await stream.event()).data)
    given = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    await client.ask(request("initialize", given, id=0))
    await client.post(notification("notifications/initialized"))
    pipe = Pipe(server.kernel)
    await pipe.open(revision)
    for ask in (client.ask, pipe.ask):
        for name in ("scoped", "template"):
            answers = [await ask(request(method, {"uri": URIS[name]})) for method in ("resources/read", WATCH)]
            assert answers[0]["error"] == answers[1]["error"]
            assert answers[1]["error"]["data"] == {"requiredScopes": ["read"]}
    stream.disconnect()
    await stream.done()
    pipe.duplex.close()
    await pipe.over()


@pytest.mark.parametrize("name", ["scoped", "template"])
async def test_so_where_each_request_stands_for_itself(name: str) -> None:
    server = build()
    wanted = {"notifications": {"resourceSubscriptions": [URIS["open"], URIS[name]]}}
    wire = Wire(endpoint(server))
    read = await wire.ask(*modern("resources/read", {"uri": URIS[name]}))
    refused = await wire.ask(*modern(LISTEN, wanted))
    assert (read.status, refused.status, refused.json) == (403, 403, read.json)
    assert read.headers["www-authenticate"] == refused.headers["www-authenticate"]
    pipe = Pipe(server.kernel)
    assert (await pipe.ask(enveloped(1, LISTEN, wanted)))["error"]["data"] == {"requiredScopes": ["read"]}
    pipe.duplex.close()
    await pipe.over()
    stream = Wire(endpoint(server, ("read",))).post(*modern(LISTEN, wanted))
    assert (await stream.message())["params"]["notifications"] == wanted["notifications"]
    stream.disconnect()
    await stream.done()


async def test_nothing_is_heard_of_what_does_not_exist_for_a_caller() -> None:
    """It is acknowledged like a URI where nothing is: nobody learns that something is there."""
    server = build()
    session = await Wire(endpoint(server)).open()
    stream = session.get()
    await stream.event()
    keys = [URIS["hidden"], "docs://nothing", URIS["open"]]
    for uri in keys:
        assert (await session.ask(request(WATCH, {"uri": uri}))).json["result"] == {}
    listening = Wire(endpoint(server)).post(*modern(LISTEN, {"notifications": {"resourceSubscriptions": keys}}))
    assert (await listening.message())["params"]["notifications"] == {"resourceSubscriptions": keys}
    for uri in keys:
        server.kernel.changes.publish(Notice.updated(uri))
    async with asyncio.timeout(10):
        for each in (stream, listening):
            heard = {(await each.message())["params"]["uri"] for _ in range(2)}
            assert heard == {"docs://nothing", URIS["open"]}
    for each in (stream, listening):
        each.disconnect()
        await each.done()

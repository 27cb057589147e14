"""Blanks around the value of a field are no part of it (RFC 9110 section 5.5), whoever parses and whatever compares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from mcpkit import Server
from mcpkit.fastapi import create_app
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from tests.hostile.raw import BODY, PARSERS, house
from tests.transports.sockets import Place, serving

META = "io.modelcontextprotocol/"
BLANKS = (("", ""), (" ", " "), ("", " "), ("\t", "\t"), (" \t ", "\t \t"), ("      ", "      "))
OPENING = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": NEWEST_HANDSHAKE.name,
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    },
}


@pytest.fixture(params=PARSERS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    settings = Settings(metrics_token="m" * 32)
    async with serving(create_app(house(), settings), settings, http=request.param) as place:
        yield place


def padded(line: str, body: bytes, fields: dict[str, str], before: str, after: str) -> bytes:
    """A request all of whose fields stand between blanks."""
    lines = [line, *(f"{name}:{before}{value}{after}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def of(body: bytes, **more: str) -> dict[str, str]:
    """The fields of a POST with that body."""
    usual = {
        "Host": "127.0.0.1",
        "Origin": "http://localhost",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json; charset=utf-8",
        "Content-Encoding": "identity",
        "Content-Length": str(len(body)),
        "Connection": "keep-alive",
    }
    return usual | {name.replace("_", "-"): value for name, value in more.items()}


@pytest.mark.parametrize(("before", "after"), BLANKS)
async def test_every_field_of_every_request(place: Place, before: str, after: str) -> None:
    """Plain, in a session, without one, in chunks; the second of each is read the short way, if any is."""
    connection = await place.connect()

    async def said(body: bytes, line: str = "POST /api HTTP/1.1", **more: str) -> tuple[int, dict[str, str], bytes]:
        for _ in range(2):
            connection.send(padded(line, body, of(body, **more), before, after))
            answer = await connection.answer()
        return answer

    assert (await said(BODY))[0] == 200
    status, headers, _ = await said(orjson.dumps(OPENING))
    session = headers["mcp-session-id"]
    assert (status, headers["access-control-allow-origin"]) == (200, "http://localhost")
    in_session: dict[str, Any] = {"Mcp_Session_Id": session, "MCP_Protocol_Version": NEWEST_HANDSHAKE.name}
    ready = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    assert (await said(ready, **in_session))[0] == 202
    assert (await said(BODY, **in_session))[0] == 200
    envelope = {f"{META}protocolVersion": NEWEST.name, f"{META}clientCapabilities": {}}
    params = {"name": "echo", "arguments": {"text": "x"}, "_meta": envelope}
    asked = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    mirrored = {"MCP_Protocol_Version": NEWEST.name, "Mcp_Method": "tools/call", "Mcp_Name": "echo"}
    status, _, body = await said(asked, **mirrored)
    assert (status, orjson.loads(body)["result"]["content"][0]["text"]) == (200, "x")
    fields = {name: value for name, value in of(b"").items() if name != "Content-Length"}
    in_chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    connection.send(padded("POST /api HTTP/1.1", in_chunks, fields | {"Transfer-Encoding": "chunked"}, before, after))
    assert (await connection.answer())[0] == 200
    opened = of(b"", Authorization="Bearer " + "m" * 32)
    connection.send(padded("GET /metrics HTTP/1.1", b"", opened, before, after))
    assert (await connection.answer())[0] == 200
    connection.send(padded("DELETE /api HTTP/1.1", b"", of(b"", **in_session), before, after))
    assert (await connection.answer())[0] in {200, 204}


@pytest.mark.parametrize(("before", "after"), BLANKS)
async def test_blanks_let_nobody_in(place: Place, before: str, after: str) -> None:
    """What is refused is refused with them as well, and a value of blanks alone is an empty one."""
    for changed, status in (
        ({"Host": "elsewhere.example"}, 421),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Length": "99999999"}, 413),
        ({"Content-Length": ""}, 400),
        ({"Host": ""}, 421),
        ({"Mcp-Session-Id": "nobody"}, 404),
    ):
        connection = await place.connect()
        connection.send(padded("POST /api HTTP/1.1", BODY, of(BODY) | changed, before, after))
        assert (await connection.answer())[0] == status, changed


async def test_servers_that_leave_them(place: Place) -> None:
    """Not every ASGI server takes them off; so the application does."""
    sent: list[Any] = []
    raw = [(name.lower().encode(), f"\t {value} \t".encode()) for name, value in of(BODY).items()]
    scope = {"type": "http", "method": "POST", "path": "/api", "raw_path": b"/api", "query_string": b"", "headers": raw}

    async def receive() -> Any:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    app = create_app(Server("s", "1"), Settings())
    async with app.router.lifespan_context(app):
        await app(
            {**scope, "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"}, "client": None},
            receive,
            send,
        )
    assert sent[0]["status"] == 200

"""The limit of this stack: an ASGI function that trusts everybody, under the same uvicorn; no check, no protocol.

Sessions are made up, lists are bytes from the start. What must never stand here: anything a server has to do
for safety.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import bodies
import orjson
import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream")
SESSION = (b"mcp-session-id", b"a-session-of-no-one-at-all-000000")
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer", "default": 1},
        "flag": {"type": "boolean", "default": False},
    },
    "required": ["name"],
    "additionalProperties": False,
}
LISTED = orjson.dumps(
    {
        "tools": [
            {"name": bodies.generated_name(number), "description": "A generated tool.", "inputSchema": SCHEMA}
            for number in range(bodies.TOOLS)
        ]
    }
)
CHANGED = b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
listening: set[Send] = set()


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            await send({"type": (await receive())["type"] + ".complete"})
    elif scope["method"] == "POST":
        event = await receive()
        body = event["body"]
        while event["more_body"]:
            event = await receive()
            body += event["body"]
        await posted(orjson.loads(body), receive, send)
    elif scope["method"] == "GET":
        await opened(receive, send)
    else:
        await answer(send, 204, b"")


async def posted(request: dict[str, Any], receive: Any, send: Send) -> None:
    method = request["method"]
    if method == "tools/call":
        await called(request, send)
    elif method == "tools/list":
        await answer(send, 200, b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (request["id"], LISTED))
    elif method == "initialize":
        result = {"protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {}}}
        result["serverInfo"] = {"name": "limit", "version": "1"}
        await answer(send, 200, encoded(request, result), SESSION)
    elif method == "subscriptions/listen":
        await opened(receive, send)
    else:
        await answer(send, 202, b"")


async def called(request: dict[str, Any], send: Send) -> None:
    name, arguments = request["params"]["name"], request["params"].get("arguments", {})
    value: Any
    if name == "echo":
        value = await bodies.echo(**arguments)
    elif name == "add":
        value = await bodies.add(**arguments)
    elif name == "big":
        value = await bodies.big()
    elif name == "stream":
        await streamed(request, arguments["n"], send)
        return
    else:
        value = "told"
        for told in tuple(listening):
            await told({"type": "http.response.body", "body": CHANGED, "more_body": True})
    text = value if type(value) is str else str(value)
    result = {"content": [{"type": "text", "text": text}], "structuredContent": {"result": value}}
    await answer(send, 200, encoded(request, result))


async def streamed(request: dict[str, Any], n: int, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [EVENTS]})
    token = request["params"]["_meta"]["progressToken"]

    async def report(progress: float, total: float) -> None:
        params = {"progressToken": token, "progress": progress, "total": total}
        data = orjson.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        await send({"type": "http.response.body", "body": b"data: %b\n\n" % data, "more_body": True})

    text = await bodies.stream(n, report)
    data = encoded(request, {"content": [{"type": "text", "text": text}]})
    await send({"type": "http.response.body", "body": b"data: %b\n\n" % data})


async def opened(receive: Any, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [EVENTS]})
    await send({"type": "http.response.body", "body": b": \n\n", "more_body": True})
    listening.add(send)
    event = await receive()
    while event["type"] != "http.disconnect":
        event = await receive()
    listening.discard(send)


def encoded(request: dict[str, Any], result: dict[str, Any]) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})


async def answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    head = [JSON, length, *headers] if status != 204 else []
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(app, **bodies.UVICORN)

"""An ASGI client that sees every event: when the head was sent, which piece came when, and what a lost line does.

What must never stand here: sockets, a real HTTP client (they hide what is tested here).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from mcpkit.framing.sse import Event, EventDecoder
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE

App = Callable[[Any, Any, Any], Awaitable[None]]
BOTH = "application/json, text/event-stream"
META = "io.modelcontextprotocol/"
SECONDS = 10.0


class Call:
    """One HTTP request under way."""

    def __init__(self, app: App, scope: dict[str, Any], pieces: list[bytes], *, hold: bool = False) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.complete = False
        self.left = False
        """Whether the application has learned that the client is gone."""
        self.blocked: asyncio.Event | None = None
        """When set to an unset event, the line is full: sending waits for it."""
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for index, piece in enumerate(pieces):
            more = hold or index < len(pieces) - 1
            self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        self._changed = asyncio.Event()
        self._decoder = EventDecoder(1 << 20)
        self._events: list[Event] = []
        self.task = asyncio.ensure_future(self._run(app, scope))

    async def _run(self, app: App, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._changed.set()

    async def _receive(self) -> dict[str, Any]:
        event = await self._incoming.get()
        self.left = event["type"] == "http.disconnect"
        self._changed.set()
        return event

    async def _send(self, event: dict[str, Any]) -> None:
        if self.blocked is not None:
            await self.blocked.wait()
        if event["type"] == "http.response.start":
            assert not self.status, "two heads"
            self.status = event["status"]
            self.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        else:
            assert self.status, "a body before its head"
            assert not self.complete, "a body after its end"
            body = event.get("body", b"")
            self.pieces.append(body)
            self._events += self._decoder.feed(body)
            self.complete = not event.get("more_body", False)
        self._changed.set()

    def disconnect(self) -> None:
        """The client goes away."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def leave(self) -> None:
        """The client goes away, and the application learns of it."""
        self.disconnect()
        await self.until(lambda: self.left)

    def feed(self, piece: bytes, *, more: bool = False) -> None:
        """Another piece of the body arrives."""
        self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the response has come that far."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                if self.task.done():
                    self.task.result()
                    assert condition(), f"the response ended before that: {self.status} {self.body!r}"
                self._changed.clear()
                if not condition() and not self.task.done():
                    await self._changed.wait()

    async def done(self) -> Call:
        """Wait for the application to return."""
        async with asyncio.timeout(SECONDS):
            await self.task
        return self

    async def event(self) -> Event:
        """The next event of the stream that carries data or an id."""
        await self.until(lambda: bool(self._events))
        return self._events.pop(0)

    async def message(self) -> Any:
        """The next JSON-RPC message of the stream."""
        return orjson.loads((await self.event()).data)

    async def messages(self) -> list[Any]:
        """All messages that the stream still has, once it has ended."""
        await self.done()
        found, self._events = self._events, []
        return [orjson.loads(event.data) for event in found if event.data]

    @property
    def body(self) -> bytes:
        """Everything that came."""
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


class Wire:
    """Makes requests to an ASGI application."""

    def __init__(self, app: App, path: str = "/api") -> None:
        self.app = app
        self.path = path
        self.host = "127.0.0.1:12000"

    def send(
        self,
        method: str,
        headers: Mapping[str, str | None] | None = None,
        pieces: list[bytes] | None = None,
        *,
        path: str | None = None,
        raw: list[tuple[bytes, bytes]] | None = None,
        root: str = "",
        hold: bool = False,
    ) -> Call:
        """Begin a request; a header of None is left out."""
        given = {"host": self.host, "accept": BOTH, **{k.lower(): v for k, v in (headers or {}).items()}}
        if method == "POST":
            given.setdefault("content-type", "application/json")
        fields = [(k.encode(), v.encode("latin-1")) for k, v in given.items() if v is not None] + (raw or [])
        target, _, query = (path or self.path).partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": root + target,
            "raw_path": (root + target).encode(),
            "query_string": query.encode(),
            "root_path": root,
            "headers": fields,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 12000),
        }
        return Call(self.app, scope, pieces if pieces is not None else [b""], hold=hold)

    def post(self, message: Any, headers: Mapping[str, str | None] | None = None, **options: Any) -> Call:
        """Begin a POST of a message (bytes go out as they are)."""
        body = message if isinstance(message, bytes) else orjson.dumps(message)
        return self.send("POST", headers, [body], **options)

    async def ask(self, message: Any, headers: Mapping[str, str | None] | None = None, **options: Any) -> Call:
        """POST a message and wait for the whole answer."""
        return await self.post(message, headers, **options).done()

    async def open(self, revision: str = NEWEST_HANDSHAKE.name, **params: Any) -> SessionWire:
        """Shake hands."""
        given = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "tester", "version": "1"}}
        answer = await self.ask(request("initialize", {**given, **params}, id=0))
        assert answer.status == 200, answer.body
        session = SessionWire(self, answer.headers["mcp-session-id"], answer.json["result"]["protocolVersion"])
        assert (await session.ask(notification("notifications/initialized"))).status == 202
        return session


class SessionWire:
    """Makes requests within a session."""

    def __init__(self, wire: Wire, id: str, revision: str) -> None:
        self.wire = wire
        self.id = id
        self.revision = revision

    def headers(self, more: Mapping[str, str | None] | None = None) -> dict[str, str | None]:
        """What every request of a session carries."""
        return {"mcp-session-id": self.id, "mcp-protocol-version": self.revision, **(more or {})}

    def post(self, message: Any, headers: Mapping[str, str | None] | None = None, **options: Any) -> Call:
        """Begin a POST."""
        return self.wire.post(message, self.headers(headers), **options)

    async def ask(self, message: Any, headers: Mapping[str, str | None] | None = None, **options: Any) -> Call:
        """POST and wait for the whole answer."""
        return await self.post(message, headers, **options).done()

    def get(self, headers: Mapping[str, str | None] | None = None) -> Call:
        """Open or resume a stream."""
        return self.wire.send("GET", self.headers({"accept": "text/event-stream", **(headers or {})}))

    async def delete(self) -> Call:
        """End the session."""
        return await self.wire.send("DELETE", self.headers()).done()


def request(method: str, params: Mapping[str, Any] | None = None, *, id: Any = 1) -> dict[str, Any]:
    """A JSON-RPC request."""
    message = {"jsonrpc": "2.0", "id": id, "method": method}
    return message if params is None else {**message, "params": dict(params)}


def notification(method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A JSON-RPC notification."""
    message = {"jsonrpc": "2.0", "method": method}
    return message if params is None else {**message, "params": dict(params)}


def modern(
    method: str, params: Mapping[str, Any] | None = None, *, id: Any = 1, **meta: Any
) -> tuple[dict[str, Any], dict[str, str | None]]:
    """A request of the envelope era and its headers."""
    envelope = {f"{META}protocolVersion": NEWEST.name, f"{META}clientCapabilities": {}, **meta}
    given = {**(params or {}), "_meta": envelope}
    headers: dict[str, str | None] = {"mcp-protocol-version": NEWEST.name, "mcp-method": method}
    name = given.get("uri") if method == "resources/read" else given.get("name")
    if isinstance(name, str):
        headers["mcp-name"] = name
    return request(method, given, id=id), headers


@asynccontextmanager
async def leaving_nothing_behind() -> AsyncIterator[None]:
    """Fail when the block leaves a task."""
    before = asyncio.all_tasks()
    yield
    for _ in range(5):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    assert not left, f"tasks left: {left}"

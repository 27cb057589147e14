"""Doubles for the client's tests: an HTTP server that does what a script says, and a transport that needs none.

Everything waits on events with a limit, never on a clock. What must never stand here: a test, a rule of the protocol.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mcpkit.client.errors import ConnectionLost
from mcpkit.client.limits import Deadlines, Patience, Pauses
from mcpkit.client.transports.transport import Call, Lost, Receive
from mcpkit.jsonrpc.messages import ErrorResponse, JsonObject, Notification, Request, Response
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from mcpkit.protocol.revisions.revision import Revision

T = TypeVar("T")
LIMIT = 10.0

MODERN, HANDSHAKE = NEWEST.name, NEWEST_HANDSHAKE.name
HASTE = Patience(deadlines=Deadlines(call=LIMIT, goodbye=1.0, listen=1.0), pauses=Pauses(first=0.0, most=0.0))
"""No pauses between attempts, and nothing waits longer than a test may."""


async def soon(work: Awaitable[T]) -> T:
    """The result, within the limit of every wait."""
    async with asyncio.timeout(LIMIT):
        return await work


async def until(condition: Callable[[], object]) -> None:
    """Go on when it holds; for what no event tells."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - nothing tells, and it is only looked for when all others have run
            await asyncio.sleep(0)


# ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> JsonObject:
        """The JSON body; params are there."""
        value: JsonObject = json.loads(self.body)
        return {"params": {}, **value} if "method" in value else value

    @property
    def form(self) -> dict[str, str]:
        """The form in the body."""
        from urllib.parse import parse_qsl

        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Reply:
    """What a script answers with."""

    def __init__(self, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
        self._writer = writer
        self._reader = reader
        self.started = False

    async def send(self, status: int, body: bytes | str | JsonObject | list[Any] = b"", **headers: str) -> None:
        """The whole answer."""
        kind = "text/plain" if isinstance(body, bytes | str) else "application/json"
        raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        fields = {"content_type": kind, "content_length": str(len(raw)), **headers}
        await self._head(status, fields)
        self._writer.write(raw)
        await self._writer.drain()

    async def stream(self, status: int = 200, **headers: str) -> None:
        """Begin an event stream."""
        await self._head(status, {"content_type": "text/event-stream", "transfer_encoding": "chunked", **headers})

    async def event(self, data: object = None, *, id: str | None = None, event: str = "", retry: int = -1) -> None:
        """One event of the stream."""
        lines = [f"id: {id}"] if id is not None else []
        lines += [f"event: {event}"] if event else []
        lines += [f"retry: {retry}"] if retry >= 0 else []
        lines.append(f"data: {data if isinstance(data, str) else '' if data is None else json.dumps(data)}")
        await self.chunk("\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        """Bytes of the stream."""
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def end(self) -> None:
        """The stream is over, in order."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def abort(self) -> None:
        """Cut the connection."""
        self.started = True
        self._writer.transport.abort()

    async def gone(self) -> None:
        """The other side has hung up."""
        while await self._reader.read(1024):
            pass

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([f"HTTP/1.1 {status} Scripted", *lines, "", ""]).encode())
        await self._writer.drain()


Script = Callable[[Asked, Reply], Awaitable[None]]


@dataclass
class HttpPeer:
    """A scripted server that runs."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """What went wrong in the script itself."""

    def messages(self, method: str | None = None) -> list[JsonObject]:
        """The JSON-RPC messages it got, all or of one method."""
        found = [asked.message for asked in self.asked if asked.method == "POST"]
        return [message for message in found if method is None or message.get("method") == method]


@asynccontextmanager
async def http_peer(script: Script) -> AsyncIterator[HttpPeer]:
    """A server on a free port of this machine, which answers as the script says."""
    peer = HttpPeer("")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while (asked := await _read(reader)) is not None:
                peer.asked.append(asked)
                reply = Reply(writer, reader)
                await script(asked, reply)
                if not reply.started:
                    await reply.send(404)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as fault:
            peer.faults.append(fault)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    try:
        yield peer
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LIMIT)
    assert not peer.faults, peer.faults


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    first = await reader.readline()
    if not first:
        return None
    method, target, _ = first.decode().split(" ", 2)
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip("\r\n"):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


def result(message: JsonObject, value: JsonObject) -> JsonObject:
    """The successful answer to a message."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": value}


def failure(message: JsonObject, code: int, text: str = "no", data: Any = None) -> JsonObject:
    """The failed answer to a message."""
    error = {"code": code, "message": text} if data is None else {"code": code, "message": text, "data": data}
    return {"jsonrpc": "2.0", "id": message["id"], "error": error}


Rows = Mapping[str, Callable[[JsonObject], JsonObject]]
"""Method → result for params."""

DISCOVERED: JsonObject = {
    "supportedVersions": [MODERN],
    "capabilities": {"tools": {"listChanged": True}, "resources": {}, "prompts": {}},
    "resultType": "complete",
    "ttlMs": 0,
    "cacheScope": "private",
    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "scripted", "version": "1"}},
}


def modern_script(rows: Rows) -> Script:
    """A server of the envelope era that answers these methods, in JSON."""

    async def script(asked: Asked, reply: Reply) -> None:
        message = asked.message if asked.method == "POST" else {}
        if asked.method != "POST":
            await reply.send(405)
        elif "id" not in message:
            await reply.send(202)
        elif message["method"] == "server/discover" and message["method"] not in rows:
            await reply.send(200, result(message, DISCOVERED))
        elif message["method"] in rows:
            await reply.send(200, result(message, rows[message["method"]](message["params"])))
        else:
            await reply.send(404, failure(message, -32601))

    return script


def handshake_script(rows: Rows, *, session: str = "s1", version: str = HANDSHAKE) -> Script:
    """A server of the handshake era with one session, without a standing stream."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method != "POST":
            await reply.send(405 if asked.method == "GET" else 200)
            return
        message = asked.message
        if message.get("method") == "initialize":
            initialized = {
                "protocolVersion": version,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted"},
            }
            await reply.send(200, result(message, initialized), mcp_session_id=session)
        elif asked.headers.get("mcp-session-id") != session:
            await reply.send(400, failure(message, -32600) if "id" in message else "no session")
        elif "id" not in message:
            await reply.send(202)
        elif message["method"] in rows:
            await reply.send(200, result(message, rows[message["method"]](message.get("params", {}))))
        else:
            await reply.send(200, failure(message, -32601))

    return script


# ── no network at all ───────────────────────────────────────────────────────────────────────────────────────────────


Answer = Callable[[Call], Awaitable[JsonObject]]


class FakeTransport:
    """A transport whose server is a function; the test speaks for the server through ``receive`` and ``lost``."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls: list[Call] = []
        self.sent: list[Notification | Response | ErrorResponse] = []
        self.spoken: list[Revision | None] = []
        self.receive: Receive
        self.lost: Lost
        self.open_count = self.close_count = self.listen_count = 0
        self.news = asyncio.Event()

    async def open(self, receive: Receive, lost: Lost) -> None:
        self.receive, self.lost = receive, lost
        self.open_count += 1

    async def call(self, call: Call) -> JsonObject:
        if self.close_count:
            raise ConnectionLost("closed", sent=False)
        call.id = len(self.calls) + 1
        self.calls.append(call)
        return await self._answer(call)

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        self.sent.append(message)
        self.news.set()

    def speak(self, revision: Revision | None) -> None:
        self.spoken.append(revision)

    async def listen(self) -> None:
        self.listen_count += 1

    async def close(self) -> None:
        self.close_count += 1

    def tell(self, method: str, params: JsonObject) -> None:
        """A notification from the server."""
        self.receive(Notification(method, params))

    def ask(self, id: int | str, method: str, params: JsonObject) -> None:
        """A request from the server."""
        self.receive(Request(id, method, params))

    async def next_sent(self) -> Notification | Response | ErrorResponse:
        """The next message that the client sends."""
        while not self.sent:
            self.news.clear()
            await soon(self.news.wait())
        return self.sent.pop(0)

    def methods(self) -> list[str]:
        """What was called."""
        return [call.method for call in self.calls]


def answering(rows: Mapping[str, Callable[[JsonObject], Any]], *, modern: bool = True) -> Answer:
    """A server that answers these methods at once; the opening of its era is there already."""
    from mcpkit.client.errors import ServerRefused
    from mcpkit.jsonrpc.errors import MethodNotFound

    initialized = {"protocolVersion": HANDSHAKE, "capabilities": {"tools": {}}, "serverInfo": {"name": "scripted"}}
    opening: dict[str, Callable[[JsonObject], Any]] = (
        {"server/discover": lambda _: DISCOVERED} if modern else {"initialize": lambda _: initialized}
    )

    async def answer(call: Call) -> JsonObject:
        row = rows.get(call.method) or opening.get(call.method)
        if row is None:
            raise ServerRefused(MethodNotFound(call.method))
        found = row(call.params)
        value: JsonObject = await found if isinstance(found, Awaitable) else found
        return value

    return answer

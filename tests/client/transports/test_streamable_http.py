"""Streamable HTTP, by the rules of each revision."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcpkit.client.endpoint import Endpoint
from mcpkit.client.errors import (
    ClientError,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    ServerRefused,
    SessionEnded,
)
from mcpkit.client.http import HttpxCarrier
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from mcpkit.client.transports.streamable_http import StreamableHttp
from mcpkit.client.transports.transport import Call
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Notification, Request, Response
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, REVISIONS
from tests.client.scripted import Asked, HttpPeer, Reply, Script, failure, http_peer, result, soon, until

PATIENCE = Patience(
    bounds=Bounds(attempts=2),
    deadlines=Deadlines(goodbye=1.0, listen=1.0, stream_end=0.5),
    pauses=Pauses(first=0.0, most=0.0),
)
HANDSHAKE_ERA = [name for name, revision in REVISIONS.items() if revision.http.resumable]


class Wire:
    """A transport, what it was told, and the server it talks to."""

    def __init__(self, peer: HttpPeer, transport: StreamableHttp) -> None:
        self.peer = peer
        self.transport = transport
        self.received: list[Request | Notification] = []
        self.lost: list[ClientError] = []

    async def call(self, method: str = "m", **params: Any) -> dict[str, Any]:
        return await soon(self.transport.call(Call(method, params)))

    def posts(self) -> list[Asked]:
        return [asked for asked in self.peer.asked if asked.method == "POST"]


@asynccontextmanager
async def wire(script: Script, patience: Patience = PATIENCE) -> AsyncIterator[Wire]:
    async with http_peer(script) as peer:
        made = Wire(peer, StreamableHttp(Endpoint(peer.url, HttpxCarrier()), patience))
        await made.transport.open(made.received.append, made.lost.append)
        try:
            yield made
        finally:
            await soon(made.transport.close())


async def echo(asked: Asked, reply: Reply) -> None:
    """Answer with the params; notifications with 202."""
    if asked.method != "POST":
        await reply.send(405)
    elif "id" in asked.message and "method" in asked.message:
        session = {"mcp_session_id": "s1"} if asked.message["method"] == "initialize" else {}
        await reply.send(200, result(asked.message, asked.message.get("params", {})), **session)
    else:
        await reply.send(202)


# ── headers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_before_an_agreement_there_are_no_headers_of_mcp() -> None:
    """SHC-06, SHC-07: one message a POST, both types accepted."""
    async with wire(echo) as w:
        assert await w.call(a=1) == {"a": 1}
        headers = w.posts()[0].headers
        assert headers["accept"] == "application/json, text/event-stream"
        assert headers["content-type"] == "application/json"
        assert not [name for name in headers if name.startswith("mcp-")]


async def test_routing_headers_of_the_newest_revision() -> None:
    """SHM-03, SHM-20, SHM-31, AMB-08: method always, name where there is one, encoded where it must be."""
    async with wire(echo) as w:
        w.transport.speak(NEWEST)
        for method, params in (
            ("tools/list", {}),
            ("tools/call", {"name": "add"}),
            ("resources/read", {"uri": "file:///ü"}),
            ("tasks/get", {"taskId": "t 1"}),
            ("prompts/get", {"name": 5}),
        ):
            await soon(w.transport.call(Call(method, params, {"Mcp-Param-Region": "eu"})))
        await soon(w.transport.send(Notification("notifications/x", {})))
        sent = [(p.headers["mcp-method"], p.headers.get("mcp-name")) for p in w.posts()]
        assert sent == [
            ("tools/list", None),
            ("tools/call", "add"),
            ("resources/read", "=?base64?ZmlsZTovLy/DvA==?="),
            ("tasks/get", "t 1"),
            ("prompts/get", None),
            ("notifications/x", None),
        ]
        assert all(p.headers["mcp-protocol-version"] == NEWEST.name for p in w.posts())
        assert all(p.headers["mcp-param-region"] == "eu" for p in w.posts()[:-1])
        assert not any("mcp-session-id" in p.headers for p in w.posts())


@pytest.mark.parametrize("name", HANDSHAKE_ERA)
async def test_the_session_of_the_handshake_era(name: str) -> None:
    """SHL-42, SHL-46, SHL-51: id and version on everything after initialize, DELETE at the end; no routing headers."""
    async with wire(echo) as w:
        await w.call("initialize")
        w.transport.speak(REVISIONS[name])
        await soon(w.transport.listen())
        await soon(w.transport.call(Call("tools/call", {"name": "x"}, {"Mcp-Param-A": "b"})))
        await soon(w.transport.send(Notification("notifications/initialized", {})))
        await soon(w.transport.close())
        later = w.peer.asked[1:]
        assert [asked.method for asked in later] == ["GET", "POST", "POST", "DELETE"]
        assert all(asked.headers["mcp-session-id"] == "s1" for asked in later)
        assert all(asked.headers["mcp-protocol-version"] == name for asked in later)
        assert not any("mcp-method" in asked.headers or "mcp-param-a" in asked.headers for asked in later)


async def test_a_session_is_left_with_its_era() -> None:
    """TCLI-05: no id on requests of the newest revision, even if there was one."""
    async with wire(echo) as w:
        await w.call("initialize")
        w.transport.speak(NEWEST)
        await w.call()
        assert "mcp-session-id" not in w.posts()[-1].headers


@pytest.mark.parametrize("id", ["", "a b", "é"])
async def test_session_ids_are_visible_ascii(id: str) -> None:
    """SHL-41: an id that no header may carry is refused, not sent."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(200, result(asked.message, {}), mcp_session_id=id)

    async with wire(script) as w:
        if id == "":
            with pytest.raises(ProtocolViolation):
                await w.call("initialize")
            return
        with pytest.raises(ClientError):
            await w.call("initialize")


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ids_are_new_each_time() -> None:
    """RPC-04, RPC-05."""
    async with wire(echo) as w:
        await soon(asyncio.gather(*(w.call(n=n) for n in range(50))))
        ids = [asked.message["id"] for asked in w.posts()]
        assert len(set(ids)) == 50
        assert all(type(id) is int for id in ids)


def answered(*bodies: Any, status: int = 200, kind: str = "application/json") -> Script:
    """A server that answers with these bodies, in JSON unless they are bytes; ``$id`` stands for the request's."""
    queue = list(bodies)

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method != "POST":
            await reply.send(405)
            return
        body = queue.pop(0)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await reply.send(status, raw.replace(b'"$id"', str(asked.message["id"]).encode()), content_type=kind)

    return script


GOOD = {"jsonrpc": "2.0", "id": "$id", "result": {"ok": True}}


async def test_json_in_all_its_forms() -> None:
    """SHC-10, BAT-05: one object, or (from servers of a revision that has batches) an array with others in it."""
    note = {"jsonrpc": "2.0", "method": "notifications/x"}
    async with wire(answered(GOOD, [note, GOOD], kind="application/json; charset=utf-8")) as w:
        assert await w.call() == {"ok": True}
        assert await w.call() == {"ok": True}
        assert w.received == [Notification("notifications/x", {})]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (GOOD, "text/html"),
        (GOOD, "text/plain"),
        (b"", ""),
        (b"<html>", "application/json"),
        (b"data: {}\n\n", "application/json"),
        (b'{"jsonrpc":"2.0","id":"other","result":{}}', "application/json"),
        (b'{"jsonrpc":"2.0","id":999,"result":{}}', "application/json"),
        ({**GOOD, "result": 5}, "application/json"),
        ([], "application/json"),
        ({"jsonrpc": "2.0", "method": "x"}, "application/json"),
    ],
)
async def test_answers_that_are_none(body: Any, kind: str) -> None:
    """TCLI-09 and issue: lying content types, wrong ids, invalid JSON end in a clear error, at once."""
    async with wire(answered(body, kind=kind)) as w:
        with pytest.raises(ProtocolViolation):
            await w.call()


async def test_accepted_is_no_answer() -> None:
    """SHC-11: 202 is for what wants none."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(202, b"", content_type="")

    async with wire(script) as w:
        with pytest.raises(ProtocolViolation, match="202"):
            await w.call()


async def test_errors_of_the_server() -> None:
    """RPC-11: with its id, with null, without; over 200 or 400 (AMB-03). The status goes along."""
    error = {"code": -32602, "message": "bad", "data": {"x": 1}}
    bodies = [{"jsonrpc": "2.0", "id": "$id", "error": error}, {"jsonrpc": "2.0", "id": None, "error": error}]
    for status in (200, 400, 404, 500):
        async with wire(answered(*bodies, {"jsonrpc": "2.0", "error": error}, status=status)) as w:
            for _ in range(3):
                with pytest.raises(ServerRefused) as refused:
                    await w.call()
                assert (refused.value.code, refused.value.data) == (-32602, {"x": 1})
                assert refused.value.status == (None if status == 200 else status)


async def test_refusals_without_json_rpc() -> None:
    """TCLI-03: the status, and when to come again."""

    async def script(asked: Asked, reply: Reply) -> None:
        status, after = asked.message["params"]["status"], asked.message["params"].get("after")
        await reply.send(status, b"{broken", **({"retry_after": after} if after else {}))

    async with wire(script) as w:
        for status, after, seconds in ((503, "7", 7.0), (429, "Wed, 21 Oct 2026 07:28:00 GMT", None), (404, "", None)):
            with pytest.raises(HttpRefused) as refused:
                await w.call(status=status, after=after)
            assert (refused.value.status, refused.value.retry_after) == (status, seconds)


async def test_a_forgotten_session() -> None:
    """SHL-45: 404 means that, whatever the body, where an id was sent; without one it is a refusal."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method == "DELETE" or asked.message["method"] == "initialize":
            await echo(asked, reply)
        else:
            await reply.send(404, failure({"id": 0, **asked.message}, -32601))

    async with wire(script) as w:
        with pytest.raises(ServerRefused):
            await w.call()
        await w.call("initialize")
        w.transport.speak(NEWEST_HANDSHAKE)
        with pytest.raises(SessionEnded):
            await w.call()
        with pytest.raises(SessionEnded):
            await soon(w.transport.send(Notification("n", {})))


async def test_large_answers() -> None:
    """Issue: a 5 MiB tool result works, in JSON and as an event; what is beyond the bound does not."""

    async def script(asked: Asked, reply: Reply) -> None:
        value = result(asked.message, {"text": "x" * asked.message["params"]["size"]})
        if asked.message["params"].get("stream"):
            await reply.stream()
            await reply.event(value)
            await reply.end()
        else:
            await reply.send(200, value)

    async with wire(script) as w:
        for stream in (False, True):
            assert len((await w.call(size=5 * 1024 * 1024, stream=stream))["text"]) == 5 * 1024 * 1024
    async with wire(script, Patience(bounds=Bounds(message_bytes=100_000))) as w:
        for stream in (False, True):
            with pytest.raises(ProtocolViolation):
                await w.call(size=200_000, stream=stream)


# ── event streams ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_on_a_stream_with_others() -> None:
    """SHC-12, SHL-05: notifications and requests on the way; empty, foreign and broken events mean nothing."""

    async def script(asked: Asked, reply: Reply) -> None:
        if "method" not in asked.message:
            await reply.send(202)
            return
        await reply.stream()
        await reply.chunk(b"\xef\xbb\xbf: hello\n\n")
        await reply.event(None, id="p")
        await reply.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}})
        await reply.event({"jsonrpc": "2.0", "id": 1, "method": "ping"}, event="message")
        await reply.event({"jsonrpc": "2.0", "id": "stranger", "result": {}})
        await reply.event(result(asked.message, {"wrong": True}), event="other")
        await reply.chunk(b"data: {broken\n\n")
        await reply.event(result(asked.message, {"ok": True}))
        await reply.event(result(asked.message, {"again": True}))
        await reply.end()

    async with wire(script) as w:
        assert await w.call() == {"ok": True}
        kinds = [(type(message), message.method) for message in w.received]
        assert kinds == [(Notification, "notifications/progress"), (Request, "ping")]
        await soon(w.transport.send(Response(1, {})))
        await soon(w.transport.send(ErrorResponse(1, RpcError(-1, "no"))))
        assert w.posts()[-2].message == {"jsonrpc": "2.0", "id": 1, "result": {}}


async def test_the_connection_serves_again() -> None:
    """An answered stream that ends costs no new connection; one that does not end costs only that."""
    connections: set[int] = set()

    async def script(asked: Asked, reply: Reply) -> None:
        connections.add(id(reply._writer))
        await reply.stream()
        await reply.event(result(asked.message, {}))
        if not asked.message["params"].get("endless"):
            await reply.end()
        else:
            await reply.gone()

    async with wire(script) as w:
        for _ in range(3):
            await w.call()
            await until(lambda: not len(w.transport._background))
        assert len(connections) == 1
        await w.call(endless=True)
        await w.call()
        assert len(connections) == 2


async def test_a_stream_that_ends_early_is_lost_in_the_newest_revision() -> None:
    """SHM-09: no resumption there; whether it was served is not known."""

    async def script(asked: Asked, reply: Reply) -> None:
        assert asked.method == "POST"
        await reply.stream()
        await reply.event(None, id="1", retry=0)
        await reply.end()

    async with wire(script) as w:
        w.transport.speak(NEWEST)
        with pytest.raises(ConnectionLost, match="before it answered") as lost:
            await w.call()
        assert lost.value.sent


@pytest.mark.parametrize("name", HANDSHAKE_ERA)
@pytest.mark.parametrize("how", ["in order", "cut"])
async def test_a_stream_is_resumed(name: str, how: str) -> None:
    """SHL-08, SHL-31, SHL-35: by GET, after the last event, once the server's pause is over; also a graceful end."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method == "POST":
            w.asked = asked.message
            await reply.stream()
            await reply.event(None, id="e1", retry=1)
            if how == "cut":
                await reply.event({"jsonrpc": "2.0", "method": "notifications/x"}, id="e2")
                reply.abort()
            else:
                await reply.end()
        else:
            gets.append(asked.headers.get("last-event-id"))
            if len(gets) == 1:
                await reply.stream()
                await reply.event(None, id="e3", retry=1)
                await reply.end()
            else:
                await reply.stream()
                await reply.event(result(w.asked, {"ok": True}), id="e4")
                await reply.end()

    class Held:
        asked: dict[str, Any]

    w, gets = Held(), list[str | None]()
    async with wire(script) as wired:
        wired.transport.speak(REVISIONS[name])
        assert await wired.call() == {"ok": True}
        assert gets == ["e2" if how == "cut" else "e1", "e3"]


async def test_resumption_is_given_up() -> None:
    """SHL-35: bounded; an expired id is a lost answer."""

    async def gone(asked: Asked, reply: Reply) -> None:
        if asked.method == "POST":
            await reply.stream()
            await reply.event(None, id="e1", retry=0)
            await reply.end()
        else:
            await reply.send(400)

    async def cut(asked: Asked, reply: Reply) -> None:
        if asked.method == "POST":
            await gone(asked, reply)
        else:
            reply.abort()

    for broken in (gone, cut):
        async with wire(broken) as w:
            w.transport.speak(NEWEST_HANDSHAKE)
            with pytest.raises(ConnectionLost):
                await w.call()


# ── cancellation ────────────────────────────────────────────────────────────────────────────────────────────────────


class Slow:
    """A server whose answers never come; it notices when a caller goes."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.gone = asyncio.Event()
        self.told = asyncio.Event()

    async def __call__(self, asked: Asked, reply: Reply) -> None:
        if asked.method != "POST":
            await reply.send(405)
        elif asked.message.get("method") == "notifications/cancelled":
            self.told.set()
            await reply.send(202)
        else:
            self.begun.set()
            await reply.stream()
            await reply.gone()
            self.gone.set()


async def cancelled(w: Wire, server: Slow, call: Call) -> None:
    task = asyncio.create_task(w.transport.call(call))
    await soon(server.begun.wait())
    await until(lambda: call.id is not None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    await soon(server.gone.wait())


async def test_closing_the_stream_cancels_in_the_newest_revision() -> None:
    """CANC-05, TCLI-08: nothing is said, the stream is closed."""
    server = Slow()
    async with wire(server) as w:
        w.transport.speak(NEWEST)
        await cancelled(w, server, Call("m", {}))
        await soon(w.transport.close())
        assert not server.told.is_set()


async def test_a_notification_cancels_in_the_handshake_era() -> None:
    """SHL-10, CANC-09: a dropped stream is no cancellation there, so the server is told; never of initialize."""
    server = Slow()
    async with wire(server) as w:
        w.transport.speak(NEWEST_HANDSHAKE)
        call = Call("m", {})
        await cancelled(w, server, call)
        await soon(server.told.wait())
        assert w.posts()[-1].message["params"] == {"requestId": call.id}
    server = Slow()
    async with wire(server) as w:
        await cancelled(w, server, Call("initialize", {}, cancellable=False))
        await soon(w.transport.close())
        assert not server.told.is_set()


# ── the standing stream ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_server_speaks_unasked() -> None:
    """SHL-20, SHL-23: ``listen`` returns when the stream stands; a response on it is nobody's (SHL-24)."""
    over = asyncio.Event()

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            await reply.stream()
            await reply.event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
            await reply.event({"jsonrpc": "2.0", "id": 1, "result": {}})
            await over.wait()
            await reply.end()
        else:
            await echo(asked, reply)

    async with wire(script) as w:
        await w.call("initialize")
        w.transport.speak(NEWEST_HANDSHAKE)
        await soon(w.transport.listen())
        assert w.peer.asked[-1].headers["accept"] == "text/event-stream"
        await until(lambda: w.received)
        assert w.received == [Notification("notifications/tools/list_changed", {})]
        over.set()


async def test_the_end_of_a_session_is_noticed_there() -> None:
    """SHL-45: without waiting for the next call."""
    gets = 0

    async def script(asked: Asked, reply: Reply) -> None:
        nonlocal gets
        if asked.method == "GET":
            gets += 1
            if gets > 1:
                await reply.send(404)
                return
            await reply.stream()
            await reply.end()
        else:
            await echo(asked, reply)

    async with wire(script) as w:
        await w.call("initialize")
        w.transport.speak(NEWEST_HANDSHAKE)
        await soon(w.transport.listen())
        await until(lambda: w.lost)
        assert isinstance(w.lost[0], SessionEnded)


async def test_a_slow_stream_is_not_waited_for() -> None:
    """Calls go on while the server takes its time to open it."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            await reply.gone()
        else:
            await echo(asked, reply)

    hurry = Patience(deadlines=Deadlines(listen=0.01, goodbye=0.5))
    async with wire(script, hurry) as w:
        w.transport.speak(NEWEST_HANDSHAKE)
        await soon(w.transport.listen())
        assert await w.call(a=1) == {"a": 1}


async def test_a_server_that_does_not_let_go() -> None:
    """The end is bounded: a DELETE that is never answered, or refused, does not hold it up."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method == "DELETE":
            await reply.gone()
            reply.abort()
        else:
            await echo(asked, reply)

    hurry = Patience(deadlines=Deadlines(goodbye=0.05))
    async with wire(script, hurry) as w:
        await w.call("initialize")
        w.transport.speak(NEWEST_HANDSHAKE)
        await soon(w.transport.close())
        await soon(w.transport.close())

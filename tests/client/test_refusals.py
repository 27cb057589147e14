"""Servers that refuse: the session is over, they are busy, or they say in a page what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from mcpkit.client import ClientError, MCPClient, ServerRefused
from mcpkit.client.bodies import secrets_in, told
from mcpkit.client.errors import AuthorizationFailed, HttpRefused, SessionEnded
from mcpkit.client.limits import Deadlines, Patience, Pauses
from mcpkit.host.exits import exit_code
from tests.client.scripted import DISCOVERED, HANDSHAKE, HASTE, MODERN, Asked, Reply, failure, http_peer, result, soon

Body = bytes | str | dict[str, Any]


class Restarted:
    """A server of the handshake era that is started anew, and then refuses old sessions in the way of the test."""

    def __init__(self, status: int, body: Callable[[dict[str, Any]], Any], **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers
        self.session = 1
        self.refuses_calls: tuple[int, Any] | None = None
        """A refusal that is meant for calls alone, whatever their session."""
        self.initialized = self.served = 0

    async def __call__(self, asked: Asked, reply: Reply) -> None:
        known = asked.headers.get("mcp-session-id") == f"s{self.session}"
        message = asked.message if asked.method == "POST" else {}
        if message.get("method") == "initialize":
            self.initialized += 1
            hello = {"protocolVersion": HANDSHAKE, "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}}
            await reply.send(200, result(message, hello), mcp_session_id=f"s{self.session}")
        elif asked.method == "GET":
            await reply.send(405)
        elif not known:
            await reply.send(self.status, self.body(message), **self.headers)
        elif "id" not in message:
            await reply.send(202)
        elif self.refuses_calls is not None and message["method"] == "tools/call":
            await reply.send(self.refuses_calls[0], self.refuses_calls[1])
        else:
            self.served += message["method"] == "tools/call"
            await reply.send(200, result(message, {"content": [{"type": "text", "text": "done"}]}))


def rpc(code: int, text: str, id: Any = None) -> Callable[[dict[str, Any]], Any]:
    return lambda message: {"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": text}}


def echoed(code: int, text: str) -> Callable[[dict[str, Any]], Any]:
    return lambda message: failure({"id": None, **message}, code, text)


OVER = [
    (400, rpc(-32000, "Bad Request: No valid session ID provided")),
    (400, rpc(-32000, "Bad Request: Server not initialized")),
    (400, rpc(-32600, "Invalid Request", "server-error")),
    (400, echoed(-32602, "bad")),
    (400, lambda _: "Invalid session ID"),
    (400, lambda _: b""),
    (400, lambda _: "<html><title>400</title></html>"),
    (404, rpc(-32001, "Session not found")),
    (404, echoed(-32601, "Method not found")),
    (404, lambda _: b""),
    (404, lambda _: "session not found"),
    (410, lambda _: b""),
    (401, lambda _: "no such session"),
    (403, lambda _: "unknown session"),
    (409, rpc(-32000, "session is gone")),
    (422, lambda _: b""),
    (500, rpc(-32603, "Session not found")),
    (200, echoed(-32001, "Session not found")),
    (200, echoed(-32000, "Server not initialized")),
    (200, rpc(-32600, "Missing session ID")),
]


@pytest.mark.parametrize(("status", "body"), OVER)
async def test_a_restarted_server_is_begun_with_anew(status: int, body: Any) -> None:
    """SHL-45 and what servers really answer: one new initialize, and the request, which never ran, once more."""
    server = Restarted(status, body)
    async with http_peer(server) as peer, MCPClient(peer.url, mode="legacy", patience=HASTE) as client:
        assert (await soon(client.call_tool("t"))).text == "done"
        server.session = 2
        assert (await soon(client.call_tool("t"))).text == "done"
        assert (server.initialized, server.served) == (2, 2)
        server.session = 3
        texts = await soon(asyncio.gather(*(client.call_tool("t") for _ in range(20))))
        assert {one.text for one in texts} == {"done"}
        assert (server.initialized, server.served) == (3, 22)
        server.session = 4
        await soon(client.notify("notifications/x"))
        assert (await soon(client.call_tool("t"))).text == "done"
        assert server.initialized == 4


class RestartedSse:
    """A server of HTTP+SSE, started anew by ``restart``; what it was before, it knows no more."""

    def __init__(self, status: int, body: Any, *, cut: bool) -> None:
        self.status, self.body, self.cut = status, body, cut
        self.session = self.initialized = self.served = 0
        self.stream: Reply | None = None

    async def __call__(self, asked: Asked, reply: Reply) -> None:
        message = asked.message if asked.method == "POST" else {}
        if asked.method == "GET":
            self.session += 1
            await reply.stream()
            await reply.event(f"/messages?session={self.session}", event="endpoint")
            self.stream = reply
            await reply.gone()
        elif self.stream is None or not asked.target.endswith(f"session={self.session}"):
            await reply.send(self.status, self.body)
        else:
            await reply.send(202)
            await self._answer(message, self.stream)

    async def _answer(self, message: dict[str, Any], stream: Reply) -> None:
        if message.get("method") == "initialize":
            self.initialized += 1
            hello = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}}
            await stream.event(result(message, hello))
        elif "id" in message:
            self.served += message["method"] == "tools/call"
            await stream.event(result(message, {"content": [{"type": "text", "text": "done"}]}))

    def restart(self) -> None:
        """Where the stream isn't cut, a proxy still holds it open."""
        if self.cut and self.stream is not None:
            self.stream.abort()
        self.stream = None


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "Could not find session"),
        (404, b""),
        (404, {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "Session not found"}}),
        (400, "No transport found for sessionId"),
        (400, {"jsonrpc": "2.0", "id": "server-error", "error": {"code": -32600, "message": "Invalid session ID"}}),
        (410, b""),
        (500, "SSE connection not established"),
        (503, "no such session"),
    ],
)
async def test_a_restarted_server_over_http_sse_is_begun_with_anew(status: int, body: Any, cut: bool) -> None:
    """One new stream and one new initialize; the request, which never ran, once more and once only."""
    server = RestartedSse(status, body, cut=cut)
    async with (
        http_peer(server) as peer,
        MCPClient({"type": "sse", "url": peer.url}, patience=HASTE) as client,
    ):
        assert (await soon(client.call_tool("t"))).text == "done"
        for turn in (2, 3):
            server.restart()
            texts = await soon(asyncio.gather(*(client.call_tool("t") for _ in range(5))))
            assert {one.text for one in texts} == {"done"}
            assert (server.session, server.initialized, server.served) == (turn, turn, 5 * turn - 4)


@pytest.mark.parametrize(
    "refusal",
    [
        (400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "bad arguments"}}),
        (400, "bad arguments"),
        (422, "bad arguments"),
        (405, b""),
        (200, {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "no such database session"}}),
    ],
)
async def test_a_refusal_of_the_request_alone_is_told(refusal: tuple[int, Any]) -> None:
    """The session lives: nothing is begun anew, and nothing runs twice."""
    server = Restarted(404, lambda _: b"")
    server.refuses_calls = refusal
    async with http_peer(server) as peer, MCPClient(peer.url, mode="legacy", patience=HASTE) as client:
        for _ in range(3):
            with pytest.raises((HttpRefused, ServerRefused)):
                await soon(client.call_tool("t"))
        assert server.initialized == 1
        assert len(peer.messages("tools/call")) == 3


@pytest.mark.parametrize(("status", "text"), [(404, "nothing here"), (410, "gone"), (401, "no")])
async def test_what_a_new_session_is_refused_too_is_no_loop(status: int, text: str) -> None:
    """Once, then it is told in the server's words."""
    server = Restarted(404, lambda _: b"")
    server.refuses_calls = (status, text)
    async with http_peer(server) as peer, MCPClient(peer.url, mode="legacy", patience=HASTE) as client:
        with pytest.raises(ClientError, match=text) as caught:
            await soon(client.call_tool("t"))
        assert not isinstance(caught.value, SessionEnded)
        assert server.initialized == 2
        assert len(peer.messages("tools/call")) == 2


# ── busy ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_a_moment() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["0", "0.01", None, in_a_moment])
@pytest.mark.parametrize("mode", ["auto", MODERN, HANDSHAKE])
async def test_a_busy_server_is_asked_again(status: int, after: Any, mode: str) -> None:
    """At every step of the way: what it says is when."""
    busy: dict[str, int] = {}

    async def script(asked: Asked, reply: Reply) -> None:
        message = asked.message if asked.method == "POST" else {}
        method = message.get("method", asked.method)
        busy[method] = busy.get(method, 0) + 1
        if busy[method] <= 2 and "id" in message:
            wait = after() if callable(after) else after
            body = failure(message, -32000, "slow down") if busy[method] == 1 else "slow down"
            await reply.send(status, body, **({"retry_after": wait} if wait is not None else {}))
        elif method == "server/discover" and mode != HANDSHAKE:
            await reply.send(200, result(message, DISCOVERED))
        elif method == "initialize":
            await reply.send(200, result(message, {"protocolVersion": HANDSHAKE, "capabilities": {"tools": {}}}))
        elif "id" in message:
            await reply.send(200, result(message, {"content": [], "tools": [], "resultType": "complete"}))
        else:
            await reply.send(202 if asked.method == "POST" else 405)

    async with http_peer(script) as peer, MCPClient(peer.url, mode=mode, patience=HASTE) as client:
        await soon(client.list_tools())
        await soon(client.call_tool("t"))
        assert busy["tools/call"] == 3


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", ["3600", None, "0"])
async def test_a_server_that_stays_busy_is_given_up(status: int, after: str | None) -> None:
    """At once where it wants to be left alone for longer than the deadline; the exit code is that of who is away."""

    async def script(asked: Asked, reply: Reply) -> None:
        headers = {"retry_after": after} if after is not None else {}
        await reply.send(status, failure(asked.message, -32000, "quota is used up"), **headers)

    async with http_peer(script) as peer:
        client = MCPClient(peer.url, patience=Patience(deadlines=Deadlines(goodbye=1.0), pauses=Pauses(0.0, 0.0)))
        with pytest.raises(HttpRefused, match=rf"busy \(HTTP {status}\).*quota is used up") as caught:
            await soon(client.connect())
        assert exit_code(caught.value) == 4
        assert ("in 3600 seconds" in str(caught.value)) is (after == "3600")
        assert len(peer.asked) == {"3600": 1, None: 3, "0": 10}[after]
        await client.close()


# ── what a refusal says ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"Access denied: start it with --allowed-hosts", "text/plain", "Access denied: start it with --allowed-hosts"),
        (b'{"error":{"code":1,"message":"no key"}}', "application/json", "no key"),
        (b'{"detail":[{"msg":"x","message":"field a"}]}', "application/json", "field a"),
        (b'{"error":"invalid","error_description":"expired"}', "application/problem+json", "expired"),
        (b'{"a":1}', "application/json", '{"a":1}'),
        (b"<html><head><title>403 Forbidden</title></head><body></body></html>", "text/html", "403 Forbidden"),
        (
            b"<!doctype html><style>x{}</style><script>alert(1)</script><h1>Not&nbsp;here</h1>\n<p>Ask Bob",
            "text/html",
            "Not here Ask Bob",
        ),
        ("a\u202eb\u200b\x1b[31mred\x1b[0m\x07\r\n\x00c\u2066".encode(), "text/plain", "abred c"),
        (b"x" * 10_000, "text/plain", "x" * 299 + "…"),
        (b"\xff\xfeok", "text/plain", "ok"),
        (b"\x89PNG\r\n", "image/png", ""),
        (b"", "", ""),
        (b"[" * 100_000, "application/json", "[" * 299 + "…"),
        (b"<" * 100_000, "text/html", ""),
    ],
)
def test_a_body_in_one_line(body: bytes, kind: str, said: str) -> None:
    """Nothing that is not seen, nothing that deceives, no more than a line."""
    assert told(body, kind) == said


def test_no_body_repeats_our_credentials() -> None:
    """In whatever form a server echoes them."""
    headers = {
        "Authorization": "Basic dXNlcjpwYXNzd29yZA==",
        "X-Api-Key": "k/e+y=12",
        "Cookie": "a=biscuit; b=c",
        "Accept": "application/json",
    }
    secrets = list(secrets_in(headers, "http://h/mcp?api_key=inquery&x=1"))
    for echo in ("Basic dXNlcjpwYXNzd29yZA==", "user:password", "k/e+y=12", "k%2Fe%2By%3D12", "biscuit", "inquery"):
        assert told(f"no: {echo}".encode(), "text/plain", secrets) == "no: …"
        page = f"<p>no: {echo.replace('+', '&#43;')}</p>".encode()
        assert told(page, "text/html", secrets) == "no: …"
    assert told(b"want application/json", "text/plain", secrets) == "want application/json"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 406, 421, 500, 502])
@pytest.mark.parametrize("mode", [MODERN, HANDSHAKE])
async def test_the_fix_in_a_refusal_is_shown(status: int, mode: str) -> None:
    """A host check, a gateway, a wrong path: the page says which, and never our token."""

    async def script(asked: Asked, reply: Reply) -> None:
        token = asked.headers["authorization"]
        await reply.send(status, f"<h1>Denied</h1><p>{token} lacks --allowed-hosts", content_type="text/html")

    async with http_peer(script) as peer:
        client = MCPClient(peer.url, mode=mode, auth="geheimnis", patience=HASTE)
        with pytest.raises((HttpRefused, AuthorizationFailed), match="Denied … lacks --allowed-hosts") as caught:
            await soon(client.connect())
        assert str(status) in str(caught.value)
        assert exit_code(caught.value) == (3 if status == 403 else 4 if status >= 500 else 6)
        await client.close()

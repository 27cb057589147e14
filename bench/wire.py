"""The requests of the benchmarks as they stand on the wire, and the check that an answer is right.

What must never stand here: starting servers, a clock.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

SESSION_REVISION = "2025-11-25"
MODERN_REVISION = "2026-07-28"
CLIENT = {"name": "bench", "version": "1"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN_REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": CLIENT,
}
USUAL = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
NOTIFICATIONS = 5


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"

    @property
    def data(self) -> bytes:
        """The body as sent, as short as JSON can be."""
        return json.dumps(self.body, separators=(",", ":")).encode() if self.body else b""

    def lua(self) -> str:
        """A wrk script that sends nothing else, under a new id each time."""
        headers = "".join(f"wrk.headers[ {_lua(name)} ] = {_lua(value)}\n" for name, value in self.headers.items())
        before, mark, after = self.data.decode().partition('"id":1')
        assert mark, "a benchmarked request has the id 1"
        return (
            f"{headers}local before, after, id = {_lua(before)}, {_lua(after)}, 1000\n"
            "request = function()\n"
            "  id = id + 1\n"
            "  return wrk.format('POST', nil, nil, before .. '\"id\":' .. id .. after)\n"
            "end\n"
        )


def _lua(text: str) -> str:
    return f"[=[{text}]=]"


def message(method: str, params: dict[str, Any] | None = None, id: int | None = 1) -> dict[str, Any]:
    """A JSON-RPC message."""
    made: dict[str, Any] = {"jsonrpc": "2.0"} | ({} if id is None else {"id": id}) | {"method": method}
    return made if params is None else made | {"params": params}


def request(era: str, method: str, params: dict[str, Any], session: str | None = None, id: int = 1) -> Request:
    """A request of one era: ``session``, ``modern`` or ``plain``."""
    if era == "plain":
        return Request(message(method, params, id), USUAL)
    if era == "session":
        headers = USUAL | {"MCP-Protocol-Version": SESSION_REVISION} | ({"Mcp-Session-Id": session} if session else {})
        return Request(message(method, params, id), headers)
    params = params | {"_meta": ENVELOPE | params.get("_meta", {})}
    headers = USUAL | {"MCP-Protocol-Version": MODERN_REVISION, "Mcp-Method": method}
    named = {"Mcp-Name": params["name"]} if "name" in params else {}
    return Request(message(method, params, id), headers | named)


def call(era: str, tool: str, arguments: dict[str, Any], session: str | None = None) -> Request:
    """A tool call; ``stream`` asks for progress."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    if tool == "stream":
        params["_meta"] = {"progressToken": "p"}
    return request(era, "tools/call", params, session)


def initialize() -> Request:
    """The first request of a session."""
    params = {"protocolVersion": SESSION_REVISION, "capabilities": {}, "clientInfo": CLIENT}
    return Request(message("initialize", params), USUAL)


def initialized(session: str) -> Request:
    """The notification after it."""
    headers = USUAL | {"MCP-Protocol-Version": SESSION_REVISION, "Mcp-Session-Id": session}
    return Request(message("notifications/initialized", id=None), headers)


class Line:
    """One connection, for one request after the other."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def send(self, asked: Request) -> tuple[int, dict[str, str], bytes]:
        """Send a request: status, header fields, body."""
        self._connection.request(asked.method, "/api", asked.data, asked.headers)
        answer = self._connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, answer.read()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def send(port: int, asked: Request) -> tuple[int, dict[str, str], bytes]:
    """Send one request on a connection of its own: status, header fields, body."""
    line = Line(port)
    try:
        return line.send(asked)
    finally:
        line.close()


def open_session(port: int) -> str:
    """A session, initialized."""
    status, headers, _ = send(port, initialize())
    session = headers.get("mcp-session-id")
    if status != 200 or session is None:
        raise RuntimeError(f"initialize was answered with {status}")
    send(port, initialized(session))
    return session


def messages(body: bytes, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The messages of an answer, whether it is JSON or an event stream."""
    if headers.get("content-type", "").startswith("application/json"):
        return [json.loads(body)]
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    return [json.loads(line[5:]) for line in lines if line.startswith(b"data:") and len(line) > 6]


def check(port: int, asked: Request, expected: Any) -> None:
    """That the answer is right: the text of a call, or how many tools are listed.

    Raises: RuntimeError.
    """
    status, headers, body = send(port, asked)
    found = messages(body, headers)
    result = found[-1].get("result", {}) if found else {}
    if isinstance(expected, int):
        right = len(result.get("tools", ())) >= expected
    else:
        right = result.get("content", [{}])[0].get("text") == expected
    if asked.body.get("params", {}).get("name") == "stream":
        right = right and sum("progress" in one.get("method", "") for one in found) == NOTIFICATIONS
    if status != 200 or not right:
        raise RuntimeError(f"a wrong answer: {status} {body[:300]!r}")

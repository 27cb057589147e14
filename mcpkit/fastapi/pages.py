"""What is served beside the protocol: the description at ``/``, health, readiness, and words for a lost visitor.

What must never stand here: a message of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import HTTPException
from starlette.responses import Response

from mcpkit.jsonrpc.codec import encode
from mcpkit.protocol.revisions.registry import SUPPORTED
from mcpkit.server import Server
from mcpkit.transports.asgi import Receive, Refused, Scope, Send, refuse
from mcpkit.transports.gate import Gate
from mcpkit.transports.streamable_http import McpEndpoint

Door = Callable[[Scope, Receive, Send], Any]
Describe = Callable[[str], dict[str, Any]]
MCP_PATH: Final = "/api"
SSE_PATH: Final = "/sse"
EXAMPLE: Final = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


def describe_server(server: Server, url: str) -> dict[str, Any]:
    """What ``GET /`` says: name, versions, URLs, counts, a line to copy. ``url`` has no slash at its end."""
    return {
        "name": server.name,
        "version": server.version,
        "protocolVersions": list(SUPPORTED),
        "endpoints": {"mcp": f"{url}{MCP_PATH}", "sse": f"{url}{SSE_PATH}", "info": f"{url}/"},
        "tools": len(server.tools),
        "resources": len(server.resources),
        "prompts": len(server.prompts),
        "example": curl_line(f"{url}{MCP_PATH}"),
    }


def curl_line(url: str) -> str:
    """A command that can be copied: lists the tools of the server whose MCP URL this is."""
    return f"curl -s {url} -H 'Content-Type: application/json' -d '{EXAMPLE}'"


class Info:
    """``GET /``: the same gate as everywhere, then a description."""

    def __init__(self, gate: Gate, describe: Describe) -> None:
        self._gate = gate
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            visit = await self._gate.admit(scope, receive, send)
            if scope["method"] not in {"GET", "HEAD"}:
                raise Refused(
                    405, f"This page is read with GET; JSON-RPC goes to {MCP_PATH}", [(b"allow", b"GET, HEAD")]
                )
        except Refused as refusal:
            await refuse(send, refusal)
            return
        url = f"{scope['scheme']}://{visit.headers['host'].removesuffix(':')}{scope.get('root_path') or ''}"
        await visit.answer(200, encode(self._describe(url)))


def lost(default: Door) -> Door:
    """What answers where no route is: whoever tries the path of another server learns this one's."""

    async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raise HTTPException(404, f"Nothing is here: MCP is at {MCP_PATH}, and / says what else there is")
        await default(scope, receive, send)

    return not_found


async def healthy() -> Response:
    """The process answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


def readiness(endpoint: McpEndpoint) -> Callable[..., Any]:
    """The route that says whether ``endpoint`` wants requests."""

    async def ready() -> Response:
        """Whether requests should be sent here: not once the server is going down, nor while sessions can't be had."""
        if endpoint.retiring or endpoint.draining:
            return Response(b'{"status":"draining"}', 503, media_type="application/json")
        if endpoint.away:
            return Response(b'{"status":"redis is away"}', 503, _RETRY, media_type="application/json")
        return Response(b'{"status":"ok"}', media_type="application/json")

    return ready


_RETRY: Final = {"retry-after": "1"}

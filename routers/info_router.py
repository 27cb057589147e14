"""What this server says of itself at `GET /`: its name, its versions, its URLs, and a line to copy.

What must never stand here: a secret, a path of this machine, a tool's work.
"""

from __future__ import annotations

from typing import Any, Final

from mcpkit import Server
from mcpkit.protocol.revisions.registry import SUPPORTED

MCP_PATH: Final = "/api"
SSE_PATH: Final = "/sse"
QUESTION: Final = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


def server_information(server: Server, url: str) -> dict[str, Any]:
    """The answer; ``url`` is where the caller reached the server, without a slash at its end."""
    return {
        "name": server.name,
        "version": server.version,
        "protocolVersions": list(SUPPORTED),
        "endpoints": {"mcp": f"{url}{MCP_PATH}", "sse": f"{url}{SSE_PATH}", "info": f"{url}/"},
        "counts": {
            "tools": len(server.tools),
            "resources": sum(resource.template is None for resource in server.resources),
            "resourceTemplates": sum(resource.template is not None for resource in server.resources),
            "prompts": len(server.prompts),
        },
        "example": curl_line(url),
    }


def curl_line(url: str) -> str:
    """A line for a shell that lists the tools."""
    return f"curl -s {url}{MCP_PATH} -H 'Content-Type: application/json' -d '{QUESTION}'"

"""What this server says of itself at `GET /`: what the library knows, and the methods that are this application's own.

What must never stand here: a secret, a path of this machine, a tool's work.
"""

from __future__ import annotations

from typing import Any

from mcpkit import Server
from mcpkit.kernel import SPEC_METHODS


def server_information(server: Server, url: str) -> dict[str, Any]:
    """The answer; ``url`` is where the caller reached the server, without a slash at its end."""
    from mcpkit.fastapi import describe_server  # noqa: PLC0415 - a stdio server starts without FastAPI

    return {**describe_server(server, url), "methods": own_methods(server)}


def own_methods(server: Server) -> list[str]:
    """The JSON-RPC methods that no revision of MCP knows, by name."""
    return [method for method in server.kernel.methods() if method not in SPEC_METHODS]

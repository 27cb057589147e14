"""What the OpenAPI document says of the JSON-RPC door: FastAPI can't see into it.

What must never stand here: a rule that a request is held to.
"""

from __future__ import annotations

from typing import Any, Final

from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE


def _message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"value": {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}}


_CALL = {"name": "add", "arguments": {"a": 2, "b": 3}}
_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": NEWEST.name,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_OPENING = {
    "protocolVersion": NEWEST_HANDSHAKE.name,
    "capabilities": {},
    "clientInfo": {"name": "me", "version": "1"},
}
_RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "5"}]}}
_ERROR = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found: nonsense"}}
DOCUMENTED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["jsonrpc", "method"]},
                "examples": {
                    "plain JSON-RPC": _message("tools/call", _CALL),
                    f"MCP {NEWEST.name} (mirror method and name in headers)": _message(
                        "tools/call", {**_CALL, "_meta": _ENVELOPE}
                    ),
                    "opening a session": _message("initialize", _OPENING),
                },
            }
        },
    },
    "responses": {
        "200": {
            "description": "The answer, as JSON or, when the call speaks, as an event stream",
            "content": {
                "application/json": {"examples": {"result": {"value": _RESULT}, "error": {"value": _ERROR}}},
                "text/event-stream": {},
            },
        },
        "202": {"description": "A notification or a client's answer was accepted"},
        "400": {"description": "No JSON-RPC message, or one that contradicts its headers"},
        "403": {"description": "The Origin may not call"},
        "404": {"description": "No such session or, since the newest revision, no such method"},
        "413": {"description": "The body is too large"},
    },
}

"""The router that every other router registers with: one server, its three decorators, and plain JSON-RPC methods.

It adds nothing to the library; it is the one object that is handed around here. What must never stand here: a
tool, a method, an import of FastAPI when the module is loaded (a stdio server starts without it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcpkit import Server


class MCPBaseRouter:
    """``@router.tool``, ``@router.resource(uri)``, ``@router.prompt`` and ``router.register_method(name, handler)``."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.tool = server.tool
        self.resource = server.resource
        self.prompt = server.prompt
        self.on_close = server.on_close

    def register_method(self, name: str, handler: Callable[..., Any]) -> None:
        """Offer a method: ``handler(params: dict) -> dict``, or ``handler(context, params)``, sync or async."""
        self.server.register_method(name, handler)

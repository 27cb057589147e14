"""The router that every other router registers with: one server, its three decorators, and plain JSON-RPC methods.

It adds nothing to the library; it is the one object that is handed around here. What must never stand here: a
tool, a method, an import of FastAPI when the module is loaded (a stdio server starts without it).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mcpkit import Server, Settings

if TYPE_CHECKING:
    from fastapi import APIRouter


class MCPBaseRouter:
    """``@router.tool``, ``@router.resource(uri)``, ``@router.prompt`` and ``router.register_method(name, handler)``."""

    def __init__(self, server: Server, settings: Settings | None = None) -> None:
        self.server = server
        self.settings = settings or Settings.load()
        self.tool = server.tool
        self.resource = server.resource
        self.prompt = server.prompt
        self.on_close = server.on_close

    @cached_property
    def router(self) -> APIRouter:
        """The MCP URLs for a FastAPI application of your own: ``app.include_router(base.router)``."""
        from mcpkit.fastapi import mcp_router  # noqa: PLC0415 - a stdio server starts without FastAPI

        return mcp_router(self.server, self.settings)

    def register_method(self, name: str, handler: Callable[..., Any], *, replace: bool = False) -> None:
        """Offer a method: ``handler(params: dict) -> dict``, or ``handler(context, params)``, sync or async.

        A name that is there already is taken with ``replace=True`` only.
        """
        self.server.register_method(name, handler, replace=replace)

"""A server as FastAPI sees it: an application of its own, or a router in yours. Names only.

The one package that imports FastAPI.
"""

from mcpkit.fastapi.app import McpApp, create_app
from mcpkit.fastapi.pages import MCP_PATH, SSE_PATH, curl_line, describe_server
from mcpkit.fastapi.router import as_principal, mcp_router, metadata_router

__all__ = [
    "MCP_PATH",
    "SSE_PATH",
    "McpApp",
    "as_principal",
    "create_app",
    "curl_line",
    "describe_server",
    "mcp_router",
    "metadata_router",
]

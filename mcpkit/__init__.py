"""mcpkit: an MCP server and client framework. Its public names, by hand.

What must never stand here: an import of FastAPI, uvicorn or httpx (a stdio server starts without them).
"""

from __future__ import annotations

__version__ = "0.1.0.dev0"

__all__ = ["__version__"]

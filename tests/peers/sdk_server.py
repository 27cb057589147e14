"""The same small server by each of the Python SDKs, for our client to meet.

It runs in the environment of mcp1.txt, mcp2.txt or fastmcp.txt: ``python sdk_server.py SDK TRANSPORT PORT``. What must
never stand here: an import of this project.
"""

from __future__ import annotations

import sys
from typing import Any

from pydantic import BaseModel

SDK, TRANSPORT, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
if SDK == "mcp1":
    from mcp.server.fastmcp import Context, FastMCP

    server: Any = FastMCP("peer", host="127.0.0.1", port=PORT)
elif SDK == "mcp2":
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context

    server = MCPServer("peer")
else:
    from fastmcp import Context, FastMCP

    server = FastMCP("peer")


class Answer(BaseModel):
    """A form."""

    value: str


@server.tool()
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no")


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """Count."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to)
    return "counted"


@server.tool()
async def ask(question: str, ctx: Context) -> str:
    """Ask."""
    answer: Any = await ctx.elicit(question, Answer)
    return str(answer.data.value) if answer.action == "accept" else "no"


@server.resource("memo://hello")
def hello() -> str:
    """Say hello."""
    return "hello"


@server.prompt()
def greet(name: str) -> str:
    """Greet."""
    return f"Greet {name}."


if __name__ == "__main__":
    kind = {"http": "streamable-http"}.get(TRANSPORT, TRANSPORT)
    where: Any = {} if SDK == "mcp1" or TRANSPORT == "stdio" else {"host": "127.0.0.1", "port": PORT}
    quiet: Any = {"show_banner": False} if SDK == "fastmcp" else {}
    server.run(transport=kind, **where, **quiet)

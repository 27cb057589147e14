"""FastMCP as a peer, as it comes."""

from __future__ import annotations

import bodies
import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.tools import Tool

server = FastMCP("bench")
for body in (bodies.echo, bodies.add, bodies.big):
    server.tool(body)


@server.tool
async def stream(n: int, ctx: Context) -> str:
    return await bodies.stream(n, ctx.report_progress)


for number in range(bodies.TOOLS):
    server.add_tool(Tool.from_function(bodies.generated, name=bodies.generated_name(number)))

if __name__ == "__main__":
    if bodies.STDIO:
        server.run("stdio", show_banner=False)
    else:
        uvicorn.run(server.http_app(path="/api"), **bodies.UVICORN)

"""The official Python SDK as a peer: ``low`` and ``high`` answer in JSON, ``shipped`` is the high level as it comes."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import bodies
import mcp_types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.stdio import stdio_server


def high() -> MCPServer:
    server = MCPServer("bench")
    for tool in (bodies.echo, bodies.add, bodies.big):
        server.add_tool(tool)

    @server.tool()
    async def stream(n: int, ctx: Context) -> str:
        return await bodies.stream(n, ctx.report_progress)

    @server.tool()
    async def broadcast(ctx: Context) -> str:
        await ctx.notify_tools_changed()
        return "told"

    for number in range(bodies.TOOLS):
        server.add_tool(bodies.generated, name=bodies.generated_name(number))
    return server


def low() -> Server[Any]:
    number, text, flag = {"type": "integer"}, {"type": "string"}, {"type": "boolean"}
    generated = _tool(bodies.generated, "", {"name": text, "count": number, "flag": flag}, ["name"])
    tools = [
        _tool(bodies.echo, "echo", {"text": text}, ["text"]),
        _tool(bodies.add, "add", {"a": number, "b": number}, ["a", "b"]),
        _tool(bodies.big, "big", {}, []),
        *(generated.model_copy(update={"name": bodies.generated_name(nth)}) for nth in range(bodies.TOOLS)),
    ]
    functions: dict[str, Any] = {"echo": bodies.echo, "add": bodies.add, "big": bodies.big}

    async def listed(ctx: ServerRequestContext[Any], params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def called(ctx: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        value = await functions[params.name](**(params.arguments or {}))
        content = [types.TextContent(type="text", text=str(value))]
        return types.CallToolResult(content=content, structured_content={"result": value})

    return Server("bench", on_list_tools=listed, on_call_tool=called)


def _tool(function: Any, name: str, properties: dict[str, Any], required: list[str]) -> types.Tool:
    schema = {"type": "object", "properties": properties, "required": required}
    return types.Tool(name=name or "tool", description=function.__doc__, input_schema=schema)


async def pipe(server: Server[Any]) -> None:
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def main(kind: str) -> None:
    server: Any = low() if kind == "low" else high()
    if not bodies.STDIO:
        sessions = {} if kind == "shipped" else {"json_response": True}
        uvicorn.run(server.streamable_http_app(streamable_http_path="/api", **sessions), **bodies.UVICORN)
    elif kind == "low":
        anyio.run(pipe, server)
    else:
        server.run("stdio")


if __name__ == "__main__":
    main(sys.argv[1])

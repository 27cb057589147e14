"""Drives a server by the client of mcp 1.x and prints what it found, as one JSON list.

It runs in the environment of mcp1.txt: ``python mcp1_client.py JOBS``, a JSON list of ``[kind, target,
mode]``. What must never stand here: an import of
this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from typing import Any

from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


def opened(kind: str, target: str) -> Any:
    if kind == "stdio":
        command, *arguments = json.loads(target)
        return stdio_client(StdioServerParameters(command=command, args=arguments))
    return sse_client(target) if kind == "sse" else streamable_http_client(target)


async def answer(context: Any, params: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"value": f"{params.message} Fine."})


async def drive(session: ClientSession) -> dict[str, Any]:
    progress: list[list[Any]] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        progress.append([done, total, message])

    opening = await session.initialize()
    found: dict[str, Any] = {"revision": opening.protocolVersion, "server": opening.serverInfo.name}
    found["tools"] = sorted(tool.name for tool in (await session.list_tools()).tools)
    counted = await session.call_tool("count", {"to": 2}, progress_callback=heard)
    found["counted"], found["progress"] = counted.structuredContent, progress
    found["echo"] = (await session.call_tool("echo", {"text": "hé"})).content[0].text
    found["ask"] = (await session.call_tool("ask", {"question": "How?"})).content[0].text
    found["bad"] = (await session.call_tool("divide", {"a": 1, "b": 0})).isError
    try:
        await session.call_tool("nonsense", {})
    except McpError as error:
        found["unknown"] = error.error.code
    found["resources"] = len((await session.list_resources()).resources)
    found["prompts"] = len((await session.list_prompts()).prompts)
    return found


async def visit(kind: str, target: str, mode: str) -> dict[str, Any]:
    async with (
        opened(kind, target) as streams,
        ClientSession(streams[0], streams[1], elicitation_callback=answer) as session,
    ):
        return await drive(session)


async def main(jobs: list[list[str]]) -> None:
    found = []
    for job in jobs:
        try:
            async with asyncio.timeout(20):
                found.append(await visit(*job))
        except Exception:
            found.append({"failed": traceback.format_exc()})
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))

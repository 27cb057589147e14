"""Drives a server by the client of fastmcp and prints what it found, as one JSON list.

It runs in the environment of fastmcp.txt: ``python fastmcp_client.py JOBS``, a JSON list of ``[kind, target,
mode]``. What must never stand here: an
import of this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import McpError, ToolError


def transport(kind: str, target: str) -> Any:
    if kind == "stdio":
        command, *arguments = json.loads(target)
        return StdioTransport(command=command, args=arguments)
    return SSETransport(target) if kind == "sse" else StreamableHttpTransport(target)


async def answer(message: str, kind: Any, params: Any, context: Any) -> Any:
    return {"value": f"{message} Fine."}


async def visit(kind: str, target: str, mode: str) -> dict[str, Any]:
    progress: list[list[Any]] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        progress.append([done, total, message])

    client: Any = Client(transport(kind, target), mode=mode, elicitation_handler=answer)  # type: ignore[arg-type]
    async with client:
        found: dict[str, Any] = {"tools": sorted(tool.name for tool in await client.list_tools())}
        counted = await client.call_tool("count", {"to": 2}, progress_handler=heard)
        found["counted"], found["progress"] = counted.structured_content, progress
        found["echo"] = (await client.call_tool("echo", {"text": "hé"})).content[0].text
        found["ask"] = (await client.call_tool("ask", {"question": "How?"})).content[0].text
        found["bad"] = (await client.call_tool("divide", {"a": 1, "b": 0}, raise_on_error=False)).is_error
        try:
            await client.call_tool("nonsense", {})
        except McpError as error:
            found["unknown"] = error.error.code
        except ToolError:
            found["unknown"] = "a tool error"
        found["resources"] = len(await client.list_resources())
        found["prompts"] = len(await client.list_prompts())
    return found


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

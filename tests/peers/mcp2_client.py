"""Drives a server by the client of mcp 2.x and prints what it found, as one JSON list.

It runs in the environment of mcp2.txt: ``python mcp2_client.py JOBS``, a JSON list of ``[kind, target,
mode]``. What must never stand here: an import
of this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from typing import Any

from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.sse import sse_client


def server(kind: str, target: str) -> Any:
    if kind == "stdio":
        command, *arguments = json.loads(target)
        return StdioServerParameters(command=command, args=arguments)
    return sse_client(target) if kind == "sse" else target


async def answer(context: Any, params: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"value": f"{params.message} Fine."})


async def visit(kind: str, target: str, mode: str) -> dict[str, Any]:
    progress: list[list[Any]] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        progress.append([done, total, message])

    async with Client(server(kind, target), mode=mode, elicitation_callback=answer) as client:  # type: ignore[arg-type]
        found: dict[str, Any] = {"revision": client.protocol_version}
        found["server"] = client.server_info.name if client.server_info else None
        found["tools"] = sorted(tool.name for tool in (await client.list_tools()).tools)
        counted = await client.call_tool("count", {"to": 2}, progress_callback=heard)
        found["counted"], found["progress"] = counted.structured_content, progress
        found["echo"] = (await client.call_tool("echo", {"text": "hé"})).content[0].text
        found["ask"] = (await client.call_tool("ask", {"question": "How?"})).content[0].text
        found["bad"] = (await client.call_tool("divide", {"a": 1, "b": 0})).is_error
        try:
            await client.call_tool("nonsense", {})
        except MCPError as error:
            found["unknown"] = error.error.code
        found["resources"] = len((await client.list_resources()).resources)
        found["prompts"] = len((await client.list_prompts()).prompts)
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

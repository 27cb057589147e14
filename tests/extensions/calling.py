"""What the tests of extensions share: a server whose tasks can be watched without waiting for time to pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from mcpkit.jsonrpc.messages import Encoded, JsonObject
from mcpkit.protocol.changes import Notice
from mcpkit.server import Server
from tests.exchanges import EVERYTHING, exchange

TASKS = "io.modelcontextprotocol/tasks"
WITH_TASKS: Mapping[str, Any] = {**EVERYTHING, "extensions": {TASKS: {}}}
SECONDS = 5
"""How long a test waits for what must come."""


class Caller:
    """Calls a server's methods, and waits for what its tasks become."""

    def __init__(self, server: Server, **by_default: Any) -> None:
        self.server = server
        self.by_default = {"capabilities": WITH_TASKS, **by_default}
        self.notices: list[Notice] = []
        self._changed = asyncio.Event()
        server.kernel.changes.subscribe(self._hear)

    async def __call__(self, method: str, params: JsonObject | None = None, **options: Any) -> JsonObject:
        result = await self.server.kernel.serve(exchange(method, params, **{**self.by_default, **options}))
        if isinstance(result, Encoded):
            decoded = json.loads(result)
            assert isinstance(decoded, dict)
            return decoded
        return result

    async def start(self, tool: str, **arguments: Any) -> str:
        """Call a tool that becomes a task; its id."""
        result = await self("tools/call", {"name": tool, "arguments": arguments})
        assert result["resultType"] == "task", result
        id = result["taskId"]
        assert isinstance(id, str)
        return id

    async def get(self, id: str, **options: Any) -> JsonObject:
        """How a task stands."""
        return await self("tasks/get", {"taskId": id}, **options)

    async def until(self, id: str, *statuses: str, questions: int = 0) -> JsonObject:
        """How a task stands as soon as it has one of the statuses (and asks so many questions)."""
        async with asyncio.timeout(SECONDS):
            while True:
                self._changed.clear()
                task = await self.get(id)
                if task["status"] in statuses and len(task.get("inputRequests", ())) >= questions:
                    return task
                await self._changed.wait()

    def _hear(self, notice: Notice) -> None:
        self.notices.append(notice)
        self._changed.set()


def text(result: JsonObject) -> str:
    """The text of a tool's result."""
    block = result["content"][0]["text"]
    assert isinstance(block, str)
    return block


def accepted(**content: Any) -> JsonObject:
    """A form that was filled in."""
    return {"action": "accept", "content": content}

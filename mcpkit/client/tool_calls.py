"""Listing and calling tools: mirrored headers, definitions that changed, questions, tasks, output that is checked.

What must never stand here: other features (client.py), what is known of a tool (toolbox.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Unpack

from mcpkit.client.assembly import Parts
from mcpkit.client.contents import tool_result
from mcpkit.client.errors import ServerRefused, ToolFailed
from mcpkit.client.options import CallOptions
from mcpkit.client.results import CallToolResult, Tool
from mcpkit.client.tasks import TaskHandle
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.revisions.registry import NEWEST
from mcpkit.protocol.revisions.revision import ErrorKind

_HEADER_MISMATCH: Final = NEWEST.codes[ErrorKind.HEADER_MISMATCH]


class ToolCalls:
    """The part of a client that is about tools."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._core, self._calls, self._tools = parts.core, parts.calls, parts.tools

    async def list_tools(self, **options: Unpack[CallOptions]) -> list[Tool]:
        """All tools that can be called; those with unusable definitions are left out and logged."""
        await self._core.connection()
        entries = await self._calls.pages("tools/list", "tools", options)
        connection = await self._core.connection()
        return self._tools.learn(map(Tool.of, entries), routed=connection.spoken.http.routing_headers)

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        raise_on_error: bool = True,
        **options: Unpack[CallOptions],
    ) -> CallToolResult:
        """Call a tool and wait for its result, through questions and tasks.

        Raises: ToolFailed for a tool's own error, unless ``raise_on_error`` is False; ServerRefused, Timeout and the
        other ClientErrors.
        """
        outcome = await self._call(name, arguments or {}, await self._as_task(name), options)
        if outcome.get("resultType") == "task":
            result = await self._handle(outcome, options).result(self._core.setup.patience.deadlines.task)
        else:
            result = tool_result(outcome)
        if result.is_error and raise_on_error:
            raise ToolFailed(result.text or f"the tool {name} failed", result)
        if self._parts.options.get("check_output", True):
            self._tools.check(name, result)
        return result

    async def start_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        ttl_ms: int | None = None,
        **options: Unpack[CallOptions],
    ) -> TaskHandle:
        """Call a tool as a task, where the server makes it one, and return without waiting for its end.

        ``ttl_ms`` asks that the task be kept that long, where the revision lets the client ask.
        """
        connection = await self._core.connection()
        task: JsonObject = {}
        if "tasks/result" in connection.spoken.requests and "tasks" in connection.server.capabilities:
            task = {"task": {} if ttl_ms is None else {"ttl": ttl_ms}}
        outcome = await self._call(name, arguments or {}, task, options)
        return self._handle(outcome, options)

    async def _as_task(self, name: str) -> JsonObject:
        """What makes the call of a tool a task that can't be called otherwise (TASKD-03)."""
        tool = self._tools.find(name)
        if tool is None or tool.execution.get("taskSupport") != "required":
            return {}
        connection = await self._core.connection()
        return {"task": {}} if "tasks/result" in connection.spoken.requests else {}

    async def _call(
        self, name: str, arguments: Mapping[str, Any], more: JsonObject, options: CallOptions
    ) -> JsonObject:
        params = {"name": name, "arguments": dict(arguments), **more}
        try:
            return await self._call_once(params, options)
        except ServerRefused as error:
            if error.code != _HEADER_MISMATCH:
                raise
        self._calls.forget()  # XHDR-08: the definition is not known, or no longer right
        await self.list_tools()
        return await self._call_once(params, options)

    async def _call_once(self, params: JsonObject, options: CallOptions) -> JsonObject:
        name: str = params["name"]
        tool = self._tools.find(name)
        headers = self._tools.headers(name, params["arguments"])
        repeatable = tool is not None and tool.safe_to_repeat
        return await self._calls.dialogue("tools/call", params, options, headers=headers, repeatable=repeatable)

    def _handle(self, outcome: JsonObject, options: CallOptions) -> TaskHandle:
        async def ask(method: str, params: JsonObject, *, blocking: bool = False) -> JsonObject:
            manner: CallOptions = {**options, "timeout": None} if blocking else options
            return await self._calls.request(method, params, manner)

        if outcome.get("resultType") != "task":
            return TaskHandle.already(ask, tool_result(outcome))
        live = self._core.live
        methods = live.spoken.requests if live is not None else frozenset()
        return TaskHandle(ask, methods, self._calls.answers, outcome)

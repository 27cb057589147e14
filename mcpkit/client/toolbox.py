"""What is known of the server's tools: their mirrored headers, their output schemas, which of them are unusable.

What must never stand here: fetching the list, calling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mcpkit.client.background import log
from mcpkit.client.display import clean
from mcpkit.client.errors import ProtocolViolation
from mcpkit.client.results import CallToolResult, Tool
from mcpkit.client.schemas import UncheckableSchema, UnusableSchema, problems
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.headers import ParamHeaders, mirror

_NONE: Final = ParamHeaders()


class Toolbox:
    """The tools seen so far, by name."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self._headers: dict[str, ParamHeaders] = {}

    def learn(self, tools: Iterable[Tool], *, routed: bool) -> list[Tool]:
        """The usable ones of the whole list, which replaces what was known.

        ``routed`` where arguments are mirrored in headers, so that a tool whose annotations are wrong can't be called
        (XHDR-07).
        """
        self._headers.clear()
        usable = [tool for tool in tools if self._learned(tool, routed)]
        self._tools = {tool.name: tool for tool in usable}
        return usable

    def find(self, name: str) -> Tool | None:
        """What is known of a tool."""
        return self._tools.get(name)

    def headers(self, name: str, arguments: Mapping[str, Any]) -> dict[str, str]:
        """The ``Mcp-Param-…`` headers of a call; none for a tool that is not known (XHDR-06, XHDR-08).

        Raises: ValueError for an argument that no header may carry.
        """
        return mirror(self._headers.get(name, _NONE), arguments)

    def check(self, name: str, result: CallToolResult) -> None:
        """That structured content is what the tool's output schema promises (TOUT-02).

        Raises: ProtocolViolation.
        """
        tool = self._tools.get(name)
        schema: JsonObject | None = tool.get("outputSchema") if tool is not None else None
        if not isinstance(schema, dict) or result.is_error:
            return
        if "structuredContent" not in result:
            raise ProtocolViolation(f"the tool {clean(name, 100)} promises structured content but gave none")
        try:
            wrong = problems(schema, result.structured_content)
        except UncheckableSchema as error:
            log.warning("the output of %s is not checked against its schema: %s", clean(name, 100), error)
            return
        except UnusableSchema as error:
            raise ProtocolViolation(f"the output of {clean(name, 100)} can't be checked: {error}") from None
        if wrong:
            raise ProtocolViolation(f"the output of {clean(name, 100)} is not what its schema promises: {wrong[0]}")

    def _learned(self, tool: Tool, routed: bool) -> bool:
        name, schema = tool.get("name"), tool.get("inputSchema")
        if not isinstance(name, str) or not name or not isinstance(schema, dict):
            log.warning("a tool is left out: it has no name or no input schema")
            return False
        try:
            self._headers[name] = ParamHeaders.compile(schema) if routed else _NONE
        except ValueError as error:
            log.warning("the tool %s is left out: %s", clean(name, 100), error)
            return False
        return True

"""Tools: functions that a model calls (spec server/tools; TOOL-01…29).

What must never stand here: signatures (binding.py), what values become (returns.py), an old revision's view.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Unpack

from mcpkit.aio import as_exception
from mcpkit.features import option_values
from mcpkit.features.arguments import JsonArguments
from mcpkit.features.binding import MakeContext, bind_json
from mcpkit.features.caching import Cached
from mcpkit.features.errors import BadArguments, InsufficientScope, RegistrationError
from mcpkit.features.failures import ErrorPolicy
from mcpkit.features.feature import DEFAULT_TIMEOUT, Feature
from mcpkit.features.in_flight import CallsInFlight
from mcpkit.features.options import ArgumentOptions, ToolAnnotations, ToolOptions, check_tool_name
from mcpkit.features.registry import LIST_TTL_MS, PAGE_SIZE, Registry
from mcpkit.features.returns import Returns, returns_of
from mcpkit.features.running import within
from mcpkit.features.suggestions import unknown
from mcpkit.jsonrpc.errors import InvalidParams, RpcError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import BEGUN, Exchange
from mcpkit.protocol.headers import ParamHeader, ParamHeaders
from mcpkit.protocol.revisions.revision import Fault

logger = logging.getLogger("mcpkit.tools")


class Tool(Feature):
    """A function that a model calls, with its options; once offered, the handle to change it."""

    what = "tool"
    known_options = frozenset(ToolOptions.__annotations__)
    arguments: JsonArguments
    option_checks = option_values.TOOL
    returns: Returns
    param_headers: tuple[ParamHeader, ...]
    """The arguments that callers repeat in HTTP headers."""

    def __init__(self, function: Callable[..., Any], options: ToolOptions | None = None) -> None:
        """Raises: RegistrationError."""
        super().__init__(function, options or {})
        self.edition = 0
        """How often it was changed since this process began to offer it."""
        self.keeps: float | None = self.options.get("cache")
        """Seconds for which its results are kept."""

    @classmethod
    def from_function(cls, function: Callable[..., Any], **options: Unpack[ToolOptions]) -> Tool:
        """A tool that is not offered yet.

        Raises: RegistrationError.
        """
        return cls(function, options)

    @property
    def task(self) -> str | None:
        """Whether calls may, must or can't become tasks."""
        task: str | None = self.options.get("task")
        return task

    @property
    def input_schema(self) -> JsonObject:
        """The published schema of the arguments."""
        schema: JsonObject = self.wire["inputSchema"]
        return schema

    def _again(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Tool:
        changed = Tool(function, options)  # type: ignore[arg-type]  # checked as any options are
        changed.edition = self.edition + 1
        return changed

    def _build(self) -> None:
        options = self.options
        self.bound, arguments = bind_json(
            self.function, input_schema=options.get("input_schema"), inline=options.get("inline", False)
        )
        self.arguments = arguments
        signature = self.bound.signature
        self.key = check_tool_name(options.get("name") or signature.name, self.where)
        self.returns = returns_of(signature, options.get("output_schema"), structured=options.get("structured_output"))
        try:
            self.param_headers = ParamHeaders.compile(arguments.document)
        except ValueError as fault:
            raise signature.refuse(str(fault)) from None
        annotations = options.get("annotations")
        self.wire = self.entry(
            self.key,
            inputSchema=arguments.document,
            outputSchema=self.returns.document,
            annotations=annotations.to_wire() if isinstance(annotations, ToolAnnotations) else annotations,
            execution={"taskSupport": self.task} if self.task else None,
        )
        self.wire.setdefault("description", options.get("title") or self.key.replace("_", " "))


class Tools:
    """The tools of one server, and the two methods that offer them."""

    def __init__(
        self,
        make_context: MakeContext,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float = DEFAULT_TIMEOUT,
        calls: CallsInFlight | None = None,
        ttl_ms: int = LIST_TTL_MS,
        changed: Callable[[], None] = lambda: None,
        errors: ErrorPolicy | None = None,
    ) -> None:
        """``timeout`` (seconds, 0: none) holds for tools that name none; ``calls`` counts those in flight; ``changed``
        is called after every change."""
        self._calls = CallsInFlight() if calls is None else calls
        self.cached = Cached()
        """Where results of tools with ``cache`` are kept."""
        self._make_context = make_context
        self._errors = errors or ErrorPolicy()
        self.argument_options = ArgumentOptions()
        """How arguments are taken that fail their schema."""
        self.timeout = timeout
        self._tools: Registry[Tool] = Registry("tools", changed, page_size=page_size, ttl_ms=ttl_ms)
        self.find = self._tools.find
        """The tool with that name, disabled or not, or None."""
        self.page_key = self._tools.page_key

    def add(self, function: Callable[..., Any] | Tool, **options: Unpack[ToolOptions]) -> Tool:
        """Offer a function, or a ready tool, and get its handle.

        Raises: RegistrationError, with file, line and the fix.
        """
        if isinstance(function, Tool):
            if options:
                raise RegistrationError(f"tool {function.key!r} is made already: give it its options when making it")
            return self._tools.add(function)
        return self._tools.add(Tool(function, options))

    def get(self, name: str) -> Tool | None:
        """The offered tool with that name, or None."""
        return self._tools.offered.get(name)

    def __iter__(self) -> Iterator[Tool]:
        """The offered tools, by name."""
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    @property
    def uniform(self) -> bool:
        """Everybody sees the same tools."""
        return self._tools.uniform

    def param_headers(self, name: str) -> tuple[ParamHeader, ...]:
        """The arguments of a tool that its callers repeat in HTTP headers; none for an unknown tool (XHDR-13)."""
        tool = self._tools.offered.get(name)
        return tool.param_headers if tool is not None else ()

    async def list(self, exchange: Exchange) -> JsonObject:
        """``tools/list`` (TOOL-02…04).

        Raises: InvalidParams for a bad cursor.
        """
        return self._tools.page(exchange)

    async def call(self, exchange: Exchange) -> JsonObject:
        """``tools/call``: find, bind, run, and put the value into a result (TOOL-20…24).

        Raises: InvalidParams, InsufficientScope, Overloaded, and the RpcErrors that a tool raises itself.
        """
        params = exchange.params
        name = params.get("name")
        tool = self._tools.offered.get(name) if type(name) is str else None
        if tool is None or tool.guarded:
            tool, kept_out = self._admitted(tool, name, exchange)
            if kept_out is not None:
                return kept_out
        given = params.get("arguments")
        try:
            arguments = tool.bound.bind(given if type(given) is dict else _object(given))
        except BadArguments as error:
            found = tool.arguments.coerce(given or {}, self.argument_options, error.violations)
            if found is None:
                return self._refused(tool, error, exchange)
            arguments, places = found
            logger.debug("%s: arguments were mended at %s", tool.key, ", ".join(places))
        seconds = tool.timeout
        if seconds is None:
            seconds = 0 if BEGUN in exchange.state else self.timeout
        calls, caller = self._calls, exchange.caller
        calls.take(caller)
        try:
            work = tool.work if tool.keeps is None else partial(self.cached.call, tool)
            value = await within(seconds, work(arguments, exchange, self._make_context), tool.key)
            try:
                return tool.returns.result(value)
            except BaseException as error:
                raise as_exception(error)  # noqa: B904 - it knows its cause
        except RpcError:
            raise
        except Exception as error:
            return error_result(self._errors.text(tool.key, tool.function, error, logger))
        finally:
            calls.give(caller)

    def _admitted(self, tool: Tool | None, name: Any, exchange: Exchange) -> tuple[Tool, JsonObject | None]:
        """The tool, and what a caller is told who lacks a scope for it.

        Raises: InvalidParams, and over HTTP, which has an answer of its own for it (STEP-03), InsufficientScope.
        """
        try:
            if tool is None or not tool.admits(exchange):
                raise self._unknown(exchange, name)
        except InsufficientScope as error:
            if exchange.headers:
                raise
            assert tool is not None
            return tool, error_result(error.message)
        return tool, None

    def _refused(self, tool: Tool, error: BadArguments, exchange: Exchange) -> JsonObject:
        """Bad arguments, in the way of the caller's revision (TOOL-23, AMB-02).

        Raises: InvalidParams where that is its way.
        """
        text = f"Invalid arguments for {tool.key}: {error}"
        if exchange.revision.invalid_arguments is Fault.RPC_ERROR:
            raise InvalidParams(text)
        return error_result(text)

    def _unknown(self, exchange: Exchange, name: Any) -> InvalidParams:
        if not isinstance(name, str):
            return InvalidParams("name must be the name of a tool; tools/list names what there is")
        return InvalidParams(unknown("tool", name, self._tools.keys_for(exchange), "tools/list"))


def too_long(result: Any, length: int, most: int) -> str:
    """The text for a result of ``length`` bytes where ``most`` may be sent, with what halves it where that can be."""
    text = f"The result is {length} bytes long, and the limit is {most}; ask for less"
    if not isinstance(result, dict) or not result.get("content") or "structuredContent" not in result:
        return text
    return (
        f"{text} (its data is sent twice, in content and in structuredContent; structured_output=False sends it once)"
    )


def _object(given: Any) -> JsonObject:
    """Absent arguments are none at all.

    Raises: InvalidParams for anything else that is no object.
    """
    if given is None:
        return {}
    raise InvalidParams("arguments must be an object of argument names and values")


def error_result(text: str) -> JsonObject:
    """The result of a call that failed, for the model to read (TOOL-24)."""
    return {"content": [{"type": "text", "text": text}], "isError": True}

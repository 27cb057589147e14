"""The client for scripts without an event loop: the same methods, each waiting for its result.

A thread of its own runs the loop; handlers are called there. What must never stand here: behaviour of a method
(client.py).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from mcpkit.client.client import MCPClient
from mcpkit.client.endpoint import Authorizer
from mcpkit.client.options import CallOptions, ClientOptions
from mcpkit.client.record import Record
from mcpkit.client.results import (
    CallToolResult,
    Completion,
    GetPromptResult,
    Prompt,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    ServerDescription,
    Tool,
)
from mcpkit.client.target import Target
from mcpkit.jsonrpc.messages import JsonObject

T = TypeVar("T")


class BlockingClient:
    """``with BlockingClient(target) as client: print(client.call_tool("add", {"a": 1, "b": 2}).data)``

    Takes what :class:`~mcpkit.client.MCPClient` takes. Must not be used from within an event loop, which it would
    hold up.
    """

    def __init__(
        self,
        target: Target,
        *,
        mode: str = "auto",
        auth: Authorizer | str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._client = MCPClient(target, mode=mode, auth=auth, **options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def connect(self) -> Self:
        """Connect; the first call would do so too."""
        self._wait(self._client.connect())
        return self

    def close(self) -> None:
        """End the connection and the thread; more than once."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._wait(self._client.close())
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def __enter__(self) -> Self:
        try:
            return self.connect()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def server(self) -> ServerDescription:
        """What the server said of itself."""
        return self._client.server

    @property
    def protocol_version(self) -> str | None:
        """The revision spoken."""
        return self._client.protocol_version

    def list_tools(self, **options: Unpack[CallOptions]) -> list[Tool]:
        """All tools."""
        return self._wait(self._client.list_tools(**options))

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        raise_on_error: bool = True,
        **options: Unpack[CallOptions],
    ) -> CallToolResult:
        """Call a tool."""
        return self._wait(self._client.call_tool(name, arguments, raise_on_error=raise_on_error, **options))

    def list_resources(self, **options: Unpack[CallOptions]) -> list[Resource]:
        """All resources."""
        return self._wait(self._client.list_resources(**options))

    def list_resource_templates(self, **options: Unpack[CallOptions]) -> list[ResourceTemplate]:
        """All families of resources."""
        return self._wait(self._client.list_resource_templates(**options))

    def read_resource(self, uri: str, **options: Unpack[CallOptions]) -> ReadResourceResult:
        """The contents of a resource."""
        return self._wait(self._client.read_resource(uri, **options))

    def list_prompts(self, **options: Unpack[CallOptions]) -> list[Prompt]:
        """All prompts."""
        return self._wait(self._client.list_prompts(**options))

    def get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, **options: Unpack[CallOptions]
    ) -> GetPromptResult:
        """A prompt with its arguments filled in."""
        return self._wait(self._client.get_prompt(name, arguments, **options))

    def complete(
        self, ref: Record | Mapping[str, Any], argument: Mapping[str, str], **options: Unpack[CallOptions]
    ) -> Completion:
        """Suggestions for one argument."""
        return self._wait(self._client.complete(ref, argument, **options))

    def ping(self, **options: Unpack[CallOptions]) -> float:
        """Seconds that the server takes to answer."""
        return self._wait(self._client.ping(**options))

    def request(
        self, method: str, params: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> JsonObject:
        """Any method."""
        return self._wait(self._client.request(method, params, **options))

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send any notification."""
        self._wait(self._client.notify(method, params))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        waiting: Future[T] = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return waiting.result()
        except KeyboardInterrupt:
            waiting.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="mcpkit client", daemon=True)
            self._thread.start()
        return self._loop

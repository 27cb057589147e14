"""The client for scripts without an event loop: everything that the client offers, each call waiting for its result.

A thread of its own runs the loop; handlers are called there. Methods are the client's own, made to wait by one
mechanism, so none can be missing or differ. What must never stand here: behaviour of a method (client.py).
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from mcpkit.client.client import MCPClient
from mcpkit.client.endpoint import Authorizer
from mcpkit.client.errors import ConnectionLost
from mcpkit.client.listening import Listening
from mcpkit.client.notices import Change
from mcpkit.client.options import ClientOptions
from mcpkit.client.results import Implementation, ServerDescription, TaskState
from mcpkit.client.target import Target
from mcpkit.client.tasks import TaskHandle
from mcpkit.jsonrpc.messages import JsonObject

P = ParamSpec("P")
T = TypeVar("T")
B = TypeVar("B")


class Loop:
    """An event loop in a thread of its own, started with the first work."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._stopping = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there and return its result; interrupted, cancel it.

        Raises: what it raises; ConnectionLost when the thread is ended meanwhile; RuntimeError from within the thread,
        where it could never end.
        """
        try:
            self._refuse_inside()
        except RuntimeError:
            work.close()
            raise
        with self._changing:
            waiting: Future[T] = asyncio.run_coroutine_threadsafe(work, self._running())
        try:
            return waiting.result()
        except CancelledError:
            raise ConnectionLost("the client was closed") from None
        except KeyboardInterrupt:
            waiting.cancel()
            raise

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """End the thread after ``last``; more than once. It starts again with the next work."""
        self._refuse_inside()
        with self._stopping:
            if self._loop is None:
                return
            self.wait(last())
            with self._changing:
                loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
            if thread is not None:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()

    def _refuse_inside(self) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError("a handler can't wait for the client that calls it: let it return, or be async")

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_turn, args=[self._loop], name="mcpkit client", daemon=True)
            self._thread.start()
        return self._loop


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    """Run until stopped; other threads may wait for what is unfinished then, and are told."""
    loop.run_forever()
    unfinished = asyncio.all_tasks(loop)
    for task in unfinished:
        task.cancel()
    if unfinished:
        loop.run_until_complete(asyncio.wait(unfinished))
    loop.close()


def waits(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """The same method, waiting for its result, of an object that has ``_inner`` and ``_loop``."""

    @functools.wraps(method)
    def wait(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        result: T = self._loop.wait(method(self._inner, *arguments, **options))
        return result

    return wait


def relays(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """The same method, which has nothing to wait for."""

    @functools.wraps(method)
    def relay(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        return method(self._inner, *arguments, **options)

    return relay


def holds(method: Callable[Concatenate[Any, P], T], kind: Callable[[T, Loop], B]) -> Callable[Concatenate[Any, P], B]:
    """The same method, its result in a form that waits too."""

    @functools.wraps(method)
    def hold(self: Any, /, *arguments: P.args, **options: P.kwargs) -> B:
        return kind(method(self, *arguments, **options), self._loop)

    return hold


class BlockingListening:
    """Changes as they are told: ``with client.listen(tools=True) as changes: for change in changes: …``"""

    def __init__(self, inner: Listening, loop: Loop) -> None:
        self._inner = inner
        self._loop = loop

    close = waits(Listening.close)

    @property
    def acknowledged(self) -> JsonObject:
        """What the server agreed to tell."""
        return self._inner.acknowledged

    def __enter__(self) -> Self:
        self._loop.wait(self._inner.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Change]:
        return self

    def __next__(self) -> Change:
        change = self._loop.wait(self._next())
        if change is None:
            raise StopIteration
        return change

    async def _next(self) -> Change | None:
        return await anext(self._inner, None)


class BlockingTask:
    """A task at the server; see :class:`~mcpkit.client.TaskHandle`."""

    def __init__(self, inner: TaskHandle, loop: Loop) -> None:
        self._inner = inner
        self._loop = loop

    get = waits(TaskHandle.get)
    update = waits(TaskHandle.update)
    cancel = waits(TaskHandle.cancel)
    result = waits(TaskHandle.result)

    @property
    def task_id(self) -> str:
        """The server's name for it; empty when the call was answered at once."""
        return self._inner.task_id

    @property
    def state(self) -> TaskState:
        """As it was last seen."""
        return self._inner.state


class BlockingClient:
    """``with BlockingClient(target) as client: print(client.call_tool("add", {"a": 1, "b": 2}).data)``

    Takes what :class:`~mcpkit.client.MCPClient` takes, offers what it offers, and may be used by many threads. Must not
    be used from within an event loop, which it would hold up.
    """

    def __init__(
        self,
        target: Target,
        *,
        mode: str = "auto",
        auth: Authorizer | str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._inner = MCPClient(target, mode=mode, auth=auth, **options)
        self._loop = Loop()

    # ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self) -> Self:
        """Connect; the first call would do so too."""
        self._loop.wait(self._inner.connect())
        return self

    def close(self) -> None:
        """End the connection and the thread; more than once."""
        self._loop.stop(self._inner.close)

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
        return self._inner.server

    @property
    def server_info(self) -> Implementation:
        """Who the server says it is."""
        return self._inner.server_info

    @property
    def server_capabilities(self) -> JsonObject:
        """What the server offers."""
        return self._inner.server_capabilities

    @property
    def protocol_version(self) -> str | None:
        """The revision spoken."""
        return self._inner.protocol_version

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    list_tools = waits(MCPClient.list_tools)
    call_tool = waits(MCPClient.call_tool)
    list_resources = waits(MCPClient.list_resources)
    list_resource_templates = waits(MCPClient.list_resource_templates)
    read_resource = waits(MCPClient.read_resource)
    list_prompts = waits(MCPClient.list_prompts)
    get_prompt = waits(MCPClient.get_prompt)
    complete = waits(MCPClient.complete)
    ping = waits(MCPClient.ping)
    set_log_level = waits(MCPClient.set_log_level)
    set_roots = waits(MCPClient.set_roots)
    request = waits(MCPClient.request)
    list_entries = waits(MCPClient.list_entries)
    notify = waits(MCPClient.notify)
    start_tool = holds(waits(MCPClient.start_tool), BlockingTask)
    listen = holds(relays(MCPClient.listen), BlockingListening)

"""What the server tells unasked: progress, log messages, changes. Each goes to whoever listens, in order.

A handler may take its time: what comes meanwhile waits in a bounded line and never stops the reading. What must never
stand here: a transport, caching.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mcpkit.client.background import Background, log
from mcpkit.jsonrpc.messages import JsonObject, Notification

ChangeKind: TypeAlias = Literal["tools", "prompts", "resources", "resource", "task"]

_CHANGES: dict[str, ChangeKind] = {
    "notifications/tools/list_changed": "tools",
    "notifications/prompts/list_changed": "prompts",
    "notifications/resources/list_changed": "resources",
    "notifications/resources/updated": "resource",
    "notifications/tasks": "task",
    "notifications/tasks/status": "task",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call is (PROG-02)."""

    progress: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A log message of the server (LOG-01)."""

    level: str
    data: Any
    logger: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A list, a resource or a task has changed."""

    kind: ChangeKind
    uri: str | None = None
    """Of the resource; None for a list."""
    task: JsonObject | None = None
    missed: bool = False
    """Nobody said so, but the stream was interrupted and a change may have gone by."""


ProgressHandler: TypeAlias = Callable[[Progress], Awaitable[None] | None]
LogHandler: TypeAlias = Callable[[LogMessage], Awaitable[None] | None]
ChangeHandler: TypeAlias = Callable[[Change], Awaitable[None] | None]
MessageHandler: TypeAlias = Callable[[str, JsonObject], Awaitable[None] | None]


class Delivery:
    """Calls handlers one after the other."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._background = Background()
        self._worker: asyncio.Task[Any] | None = None
        self._current: asyncio.Future[Any] | None = None

    def put(self, handler: Callable[..., Any], *arguments: Any) -> None:
        """Have ``handler`` called when all before it have been; at once where none waits and it does not."""
        if self._worker is None:
            self._current = _started(handler, arguments)
            if self._current is not None:
                self._worker = self._background.start(self._work(), "handlers")
        elif len(self._waiting) < self._most:
            self._waiting.append((handler, arguments))
        else:
            log.warning("a notification was dropped: its handlers can't keep up")

    async def drained(self, seconds: float) -> None:
        """Everything put so far has been handled, or ``seconds`` are over; a handler itself need not wait."""
        if self._worker is not None and asyncio.current_task() is not self._current:
            await asyncio.wait({self._worker}, timeout=seconds)

    async def stop(self) -> None:
        """Call no handler any more."""
        self._waiting.clear()
        current = self._current
        await self._background.stop()
        if current is not None and current.cancel():
            await asyncio.wait({current})
        self._worker = self._current = None

    async def _work(self) -> None:
        try:
            while self._current is not None or self._waiting:
                if self._current is None:
                    handler, arguments = self._waiting.popleft()
                    self._current = _started(handler, arguments)
                if self._current is not None:
                    await _finished(self._current)
                    self._current = None
        finally:
            self._worker = None


def change_of(notification: Notification) -> Change | None:
    """What a notification says has changed, if it says that."""
    kind = _CHANGES.get(notification.method)
    if kind is None:
        return None
    uri = notification.params.get("uri")
    return Change(kind, uri if isinstance(uri, str) else None, notification.params if kind == "task" else None)


def progress_of(params: JsonObject) -> Progress | None:
    """The progress a notification reports; None where it is malformed."""
    done, total, message = params.get("progress"), params.get("total"), params.get("message")
    if isinstance(done, bool) or not isinstance(done, int | float):
        return None
    return Progress(
        done, total if isinstance(total, int | float) else None, message if isinstance(message, str) else None
    )


def log_message_of(params: JsonObject) -> LogMessage:
    """The log message in a notification."""
    logger = params.get("logger")
    return LogMessage(str(params.get("level", "info")), params.get("data"), logger if isinstance(logger, str) else None)


def _started(handler: Callable[..., Any], arguments: tuple[Any, ...]) -> asyncio.Future[Any] | None:
    try:
        answer = handler(*arguments)
    except Exception:  # the application's handler: its fault must not end the reading
        log.exception("a handler failed")
        return None
    return asyncio.ensure_future(answer) if inspect.isawaitable(answer) else None


async def _finished(pending: asyncio.Future[Any]) -> None:
    await asyncio.wait({pending})
    if not pending.cancelled() and (error := pending.exception()) is not None:
        log.error("a handler failed", exc_info=error)

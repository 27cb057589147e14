"""Work that nobody awaits: started, kept from being collected, ended together.

The tasks belong to the object that made them and to no caller, so a client may be used from any task and closed from
any other. What must never stand here: what the work is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from mcpkit.client.deadline import without_deadlines

T = TypeVar("T")

log: Final = logging.getLogger("mcpkit.client")


class Background:
    """A set of tasks with one end."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run it; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work, name=f"mcpkit: {name}", context=without_deadlines())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Cancel everything but the caller, and wait for it to be gone."""
        others = self._tasks - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    async def finish(self, seconds: float) -> None:
        """Wait for everything to end by itself, at most ``seconds``; then cancel the rest."""
        others = self._tasks - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=seconds)
        await self.stop()

    def __len__(self) -> int:
        return len(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

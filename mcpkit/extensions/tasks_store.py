"""Where tasks are remembered: the port, and the store that lives in one process.

A store keeps values and nothing else; that something changed is told over the server's change feed, so a store on an
engine shared by many workers needs neither queues nor listeners. What must never stand here: a running handler, a
method of the protocol.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol, TypeAlias

from mcpkit.extensions.tasks_state import Task

Step: TypeAlias = Callable[[Task], Task]


class TaskStore(Protocol):
    """Remembers tasks at least until their ttl is over; expired ones are as if they had never been."""

    async def add(self, task: Task, *, limit: int) -> bool:
        """Keep a new task; False when its owner has ``limit`` unfinished ones already, or there is no room.

        When this returns True, every worker's :meth:`get` finds the task (TASKE-05).
        """

    async def get(self, id: str) -> Task | None:
        """The task, if there is one."""

    async def change(self, id: str, step: Step) -> tuple[Task, Task] | None:
        """Apply ``step`` atomically and give the task before and after; None when there is none.

        ``step`` has no effects and may be applied again when another worker was faster.
        """

    async def page(self, owner: tuple[str, str], after: str | None, size: int) -> list[Task]:
        """Up to ``size`` tasks of one ``(face, owner)``, oldest first, from behind the one whose id is ``after``.

        Raises: KeyError when there is no such task among them.
        """


class MemoryTasks:
    """Tasks of one process, at most ``capacity`` of them; they end with it."""

    def __init__(self, capacity: int = 10_000, *, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since 1970."""
        self._capacity = capacity
        self._clock = clock
        self._tasks: dict[str, Task] = {}
        self._ends: list[tuple[float, str]] = []  # a heap: looking through all tasks for old ones is too slow for many
        self._unfinished: defaultdict[str | None, set[str]] = defaultdict(set)

    async def add(self, task: Task, *, limit: int) -> bool:
        """Keep a new task, unless its owner or the store is full."""
        self._sweep()
        if len(self._unfinished.get(task.owner, ())) >= limit or len(self._tasks) >= self._capacity:
            return False
        self._tasks[task.id] = task
        heappush(self._ends, (task.expires, task.id))
        if not task.terminal:
            self._unfinished[task.owner].add(task.id)
        return True

    async def get(self, id: str) -> Task | None:
        """The task, if there is one that has not expired."""
        task = self._tasks.get(id)
        return None if task is None or task.expired(self._clock()) else task

    async def change(self, id: str, step: Step) -> tuple[Task, Task] | None:
        """Apply ``step``; nothing comes between, since nothing is awaited."""
        before = await self.get(id)
        if before is None:
            return None
        after = self._tasks[id] = step(before)
        if after.terminal:
            self._finish(after)
        return before, after

    async def page(self, owner: tuple[str, str], after: str | None, size: int) -> list[Task]:
        """An owner's tasks in the order of their making."""
        self._sweep()
        own = [task for task in self._tasks.values() if (task.face, task.owner) == owner]
        start = 0 if after is None else self._place(own, after) + 1
        return own[start : start + size]

    @staticmethod
    def _place(own: list[Task], id: str) -> int:
        for place, task in enumerate(own):
            if task.id == id:
                return place
        raise KeyError(id)

    def _sweep(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            task = self._tasks.pop(heappop(self._ends)[1], None)
            if task is not None:
                self._finish(task)

    def _finish(self, task: Task) -> None:
        """It no longer counts for its owner's limit."""
        own = self._unfinished.get(task.owner)
        if own is not None:
            own.discard(task.id)
            if not own:
                del self._unfinished[task.owner]

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
from typing import Final, Protocol, TypeAlias

from mcpkit.extensions.tasks_state import Task
from mcpkit.jsonrpc.codec import encode
from mcpkit.limits import WHOLE, Bound, Shares

Step: TypeAlias = Callable[[Task], Task]
MOST_BYTES: Final = 64 << 20
"""Bytes of results that tasks in memory keep together."""


class TaskStore(Protocol):
    """Remembers tasks at least until their ttl is over; expired ones are as if they had never been."""

    async def add(self, task: Task, *, limit: int, caller: str = "") -> bool:
        """Keep a new task; False when its caller has ``limit`` unfinished ones already.

        It is counted for ``caller`` (limits.py): its owner, or where nobody authenticates the address that it came
        from. When this returns True, every worker's :meth:`get` finds the task (TASKE-05). Raises: BoundReached when
        as many are kept as there may be, for all or for this caller.
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


def kept_bound(capacity: int, share: int) -> Bound:
    """How many tasks may be kept, ended ones too, and how many of one caller's."""
    return Bound("tasks", "the store's capacity", capacity, share)


def _bytes_bound(most: int, share: int) -> Bound:
    return Bound("bytes of tasks' results", "the store's most_bytes", most, share)


class MemoryTasks:
    """Tasks of one process, at most ``capacity`` of them, with at most ``most_bytes`` of results; they end with it."""

    def __init__(
        self, capacity: int = 10_000, *, most_bytes: int = MOST_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives seconds since 1970."""
        self._clock = clock
        self._tasks: dict[str, Task] = {}
        self._ends: list[tuple[float, str]] = []  # a heap: looking through all tasks for old ones is too slow for many
        self._unfinished: defaultdict[str, set[str]] = defaultdict(set)
        self._callers: dict[str, str] = {}
        """Whom each task is counted for."""
        self._sizes: dict[str, int] = {}
        """Bytes of what each task brought or was answered."""
        self._kept = Shares(kept_bound(capacity, WHOLE))
        self._bytes = Shares(_bytes_bound(most_bytes, WHOLE))

    def limit_callers(self, share: int) -> None:
        """Let one caller have ``share`` per cent of what is kept."""
        self._kept.bound = kept_bound(self._kept.bound.most, share)
        self._bytes.bound = _bytes_bound(self._bytes.bound.most, share)

    async def add(self, task: Task, *, limit: int, caller: str = "") -> bool:
        """Keep a new task, unless its caller or the store is full."""
        self._sweep()
        caller = caller or task.owner or ""
        if len(self._unfinished.get(caller, ())) >= limit:
            return False
        self._kept.take(caller)
        self._callers[task.id] = caller
        self._tasks[task.id] = task
        heappush(self._ends, (task.expires, task.id))
        if not task.terminal:
            self._unfinished[caller].add(task.id)
        return True

    async def get(self, id: str) -> Task | None:
        """The task, if there is one that has not expired."""
        task = self._tasks.get(id)
        return None if task is None or task.expired(self._clock()) else task

    async def change(self, id: str, step: Step) -> tuple[Task, Task] | None:
        """Apply ``step``; nothing comes between, since nothing is awaited. Raises: BoundReached."""
        before = await self.get(id)
        if before is None:
            return None
        after = step(before)
        if after.result is not before.result or after.answers is not before.answers:
            self._weigh(after)
        self._tasks[id] = after
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
                caller = self._callers.pop(task.id)
                self._kept.give(caller)
                self._bytes.change(caller, self._sizes.pop(task.id, 0), 0)

    def _weigh(self, task: Task) -> None:
        """Count what it holds. Raises: BoundReached."""
        size = len(encode([task.result, task.answers])) if task.result is not None or task.answers else 0
        self._bytes.change(self._callers[task.id], self._sizes.get(task.id, 0), size)
        self._sizes[task.id] = size

    def _finish(self, task: Task) -> None:
        """It no longer counts for its caller's limit."""
        caller = self._callers[task.id]
        own = self._unfinished.get(caller)
        if own is not None:
            own.discard(task.id)
            if not own:
                del self._unfinished[caller]

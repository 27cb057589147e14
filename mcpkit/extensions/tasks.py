"""Tasks: calls whose answer is fetched later (extension ``io.modelcontextprotocol/tasks``, and 2025-11-25's core).

    server.install(Tasks())

    @server.tool(task="optional")
    async def render(scene: str, ctx: Context) -> str: ...

One engine, two protocols: which one a caller speaks is its revision's business. What must never stand here: either
of the two (tasks_methods.py), the running of handlers (tasks_engine.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from logging import getLogger
from typing import TYPE_CHECKING, Final

from mcpkit.extensions.tasks_engine import TASK_CHANGED, Engine
from mcpkit.extensions.tasks_methods import FORBIDDEN, IDENTIFIER, TaskMethods, face_of
from mcpkit.extensions.tasks_state import CORE, EXTENSION, Task
from mcpkit.extensions.tasks_store import MemoryTasks, Step, TaskStore
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.limits import WHOLE
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.server import Server

if TYPE_CHECKING:
    from mcpkit.sessions.redis_link import Link

logger = getLogger("mcpkit.tasks")

DAY: Final = 86_400.0
LONGEST: Final = 366 * DAY


class Tasks:
    """The extension; install it on a server before or after its tools.

    A tool takes part with ``task="optional"`` or ``task="required"``. Where its caller can have a task, the tool's
    parameters are settled in the request (bad arguments and ``Resolve`` questions are answered there) and its body
    runs on after the answer; what the body asks waits in the task for the client. A function that is not ``async``
    runs in a thread, which a cancelled task can't stop.
    """

    identifier = IDENTIFIER

    def __init__(
        self,
        store: TaskStore | None = None,
        *,
        ttl: float = 3600.0,
        max_ttl: float | None = None,
        poll_interval: float = 1.0,
        limit: int = 100,
        listing: bool = False,
    ) -> None:
        """``ttl``, ``max_ttl`` (a day, or ``ttl`` where that is more) and ``poll_interval`` are in seconds.

        ``limit`` is of unfinished tasks per caller. A ``store`` that is given stays, also where replicas share a Redis.

        Where a server doesn't authenticate, the limit is per address, and only the unguessable id guards a task.
        ``listing`` offers 2025-11-25's ``tasks/list``: for servers that authenticate every caller (TASKD-13).
        Raises: ValueError.
        """
        longest = max(ttl, DAY) if max_ttl is None else max_ttl
        for name, seconds in {"ttl": ttl, "max_ttl": longest, "poll_interval": poll_interval}.items():
            if not 0 < seconds <= LONGEST:
                raise ValueError(f"{name} must be more than 0 and at most {LONGEST:,.0f} seconds, not {seconds!r}")
        if longest < ttl:
            raise ValueError(f"max_ttl ({max_ttl!r} seconds) must not be less than ttl ({ttl!r})")
        if limit < 1:
            raise ValueError(f"limit must be at least 1 task, not {limit!r}")
        self._own_store = store is None
        self._store = MemoryTasks() if store is None else store
        self._ttl = ttl
        self._max_ttl = longest
        self._poll_ms = max(1, round(poll_interval * 1000))
        self._limit = limit
        self._listing = listing
        self._engine: Engine | None = None
        self._share = WHOLE
        self._clock: Callable[[], float] = time.time

    def settings(self, revision: Revision) -> JsonObject | None:
        """Advertised where it is an extension; where it is part of the core, by a capability (CAP-06)."""
        return {} if face_of(revision) is EXTENSION else None

    def share(self, link: Link) -> None:
        """Keep tasks in Redis, for all replicas, unless a store was given."""
        from mcpkit.extensions.tasks_redis import RedisTasks  # noqa: PLC0415 - redis-py is an extra

        if self._own_store:
            shared = self._store = RedisTasks(link)
            shared.limit_callers(self._share)
            if self._engine is not None:
                self._engine.store = self._store
        elif isinstance(self._store, MemoryTasks):
            logger.warning(
                "tasks stay in this process's memory, as Tasks(MemoryTasks(…)) says: other replicas know none"
            )

    def limit_callers(self, share: int) -> None:
        """Let one caller have ``share`` per cent of the tasks that are kept, in a store of ours."""
        self._share = share
        limit = getattr(self._store, "limit_callers", None)
        if limit is not None:
            limit(share)

    def install(self, server: Server) -> None:
        """Register the methods and wrap ``tools/call``."""
        kernel = server.kernel
        engine = self._engine = Engine(self._store, kernel, self._limit, self._poll_ms, self._clock)
        methods = TaskMethods(engine, _support_of(server), self._ttl, self._max_ttl)
        kernel.around("tools/call", methods.call)
        kernel.register("tasks/get", methods.get)
        kernel.register("tasks/cancel", methods.cancel)
        kernel.register("tasks/update", methods.update)
        kernel.register("tasks/result", methods.result)
        core: JsonObject = {"cancel": {}, "requests": {"tools": {"call": {}}}}
        if self._listing:
            kernel.register("tasks/list", methods.list)
            core["list"] = {}
        server.declare("tasks", core)
        server.subscriptions.keyed["taskIds"] = TASK_CHANGED
        server.subscriptions.permits["taskIds"] = methods.permits
        server.on_close(self.close)

    async def close(self) -> None:
        """Stop every running handler; their tasks fail. The server calls it when it ends."""
        if self._engine is not None:
            await self._engine.close()

    @property
    def running(self) -> int:
        """How many handlers are at work in this process."""
        return self._engine.running if self._engine else 0


def _support_of(server: Server) -> Callable[[Exchange], str | None]:
    def support(exchange: Exchange) -> str | None:
        name = exchange.params.get("name")
        tool = server.tools.get(name) if isinstance(name, str) else None
        return (tool.task or FORBIDDEN) if tool is not None and tool.seen_by(exchange) else None

    return support


__all__ = ["CORE", "EXTENSION", "IDENTIFIER", "MemoryTasks", "Step", "Task", "TaskStore", "Tasks"]

"""The methods of tasks, for both protocols that have them: the core of one revision, and the extension of the next.

Which one a caller speaks follows from the methods that its revision knows; the shapes are the extension's, and the
revision lowers them. What must never stand here: a running handler (tasks_engine.py), a revision's date.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.extensions.tasks_engine import Engine, related
from mcpkit.extensions.tasks_state import CANCELLED, CORE, EXTENSION, Face, Task
from mcpkit.jsonrpc.errors import METHOD_NOT_FOUND, InternalError, InvalidParams, InvalidRequest, McpKitError, RpcError
from mcpkit.jsonrpc.messages import JsonObject, Result
from mcpkit.kernel import Handler
from mcpkit.protocol.capabilities import lacks
from mcpkit.protocol.errors import MissingClientCapability
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.pagination import decode_cursor, encode_cursor
from mcpkit.protocol.revisions.revision import Revision

IDENTIFIER: Final = "io.modelcontextprotocol/tasks"
NEEDS: Final[Mapping[str, Any]] = {"extensions": {IDENTIFIER: {}}}
FORBIDDEN, OPTIONAL, REQUIRED = "forbidden", "optional", "required"
STATUS: Final = "notifications/tasks/status"
PAGE: Final = 50
MIN_TTL: Final = 1.0
"""Seconds: whoever makes a task can fetch it at least once."""
SHORTEST_WAIT, LONGEST_WAIT = 0.05, 10.0
"""Seconds between two looks at a task whose result is waited for: its replica may have died without a word."""


def face_of(revision: Revision) -> Face | None:
    """The protocol of tasks that a revision knows, by the method that only this one has."""
    if "tasks/update" in revision.requests:
        return EXTENSION
    return CORE if "tasks/result" in revision.requests else None


@dataclass(slots=True)
class TaskMethods:
    """The rows of the kernel that speak of tasks."""

    engine: Engine
    support: Callable[[Exchange], str | None]
    """A call of a tool → ``forbidden``, ``optional`` or ``required``; None where this caller has no such tool."""
    ttl: float
    max_ttl: float
    _asking: set[tuple[str, str]] = field(default_factory=set)

    # ── tools/call ───────────────────────────────────────────────────────────────────────────────────────────────

    async def call(self, exchange: Exchange, call: Handler) -> Result:
        """``tools/call``: as a task where the tool allows it and the caller can have one.

        Raises: MissingClientCapability (TASKE-03), RpcError.
        """
        support = self.support(exchange)
        face = face_of(exchange.revision)
        if support is None:
            return await call(exchange)  # the refusal is the same as without tasks, and tells of no hidden tool
        if face is EXTENSION:
            wanted, ttl = self._extension_wants(exchange, support), self.ttl
        elif face is CORE:
            wanted, ttl = self._core_wants(exchange, support), self._asked_ttl(exchange)
        else:
            return await call(exchange)
        return await self.engine.run(exchange, call, face, ttl) if wanted else await call(exchange)

    @staticmethod
    def _extension_wants(exchange: Exchange, support: str) -> bool:
        """The server decides, for callers that declared the extension on this very request (TASKE-02)."""
        if support == FORBIDDEN:
            return False
        if not lacks(exchange.client.capabilities, NEEDS):
            return True
        if support == REQUIRED:
            raise MissingClientCapability(NEEDS)
        return False

    @staticmethod
    def _core_wants(exchange: Exchange, support: str) -> bool:
        """The caller decides, within what the tool allows (TASKD-03)."""
        if "task" in exchange.params:
            if support == FORBIDDEN:
                raise RpcError(METHOD_NOT_FOUND, "This tool can't run as a task; call it without params.task")
            return True
        if support == REQUIRED:
            raise RpcError(METHOD_NOT_FOUND, 'This tool runs only as a task; call it with "task": {} in the params')
        return False

    def _asked_ttl(self, exchange: Exchange) -> float:
        """The caller's wish for how long the task is kept, within bounds (TASKD-02)."""
        wish = exchange.params.get("task", {})
        if not isinstance(wish, dict):
            raise InvalidParams('task must be an object such as {"ttl": 60000}')
        ttl = wish.get("ttl")
        if ttl is None:
            return self.ttl
        if isinstance(ttl, bool) or not isinstance(ttl, int | float) or ttl < 0:
            raise InvalidParams("task.ttl must be a number of milliseconds, or null")
        return min(max(ttl / 1000, MIN_TTL), self.max_ttl)

    # ── both protocols ───────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, exchange: Exchange) -> JsonObject:
        """``tasks/get``: how the task stands, with what its status calls for (TASKD-05, TASKE-06)."""
        return (await self.find(exchange)).detailed()

    async def cancel(self, exchange: Exchange) -> JsonObject:
        """``tasks/cancel``: stop it. The extension acknowledges (TASKE-10), the core shows the task (TASKD-06)."""
        task = await self.find(exchange)
        if task.face == EXTENSION.name:
            await self.engine.cancel(task.id)
            return {}
        if task.terminal:
            raise InvalidParams(f"Can't cancel the task: it is {task.status} already")
        cancelled = await self.engine.cancel(task.id)
        if cancelled is None or cancelled.status != CANCELLED:
            raise InvalidParams("Can't cancel the task: it has just ended")
        return cancelled.seed()

    async def find(self, exchange: Exchange) -> Task:
        """The task that the request names, if it is this caller's own (TKS-01, TKS-05).

        Raises: MissingClientCapability (TASKE-12), InvalidParams.
        """
        face = self._checked_face(exchange)
        id = exchange.params.get("taskId")
        if not isinstance(id, str):
            raise InvalidParams("taskId must be the string that came with the task")
        task = await self._own(exchange, face, id)
        if task is None:
            raise InvalidParams("Unknown task; it may have expired")
        return task

    async def permits(self, exchange: Exchange, id: str) -> bool:
        """Whether this caller may watch that task on a ``subscriptions/listen`` stream.

        Raises: MissingClientCapability (TASKE-12).
        """
        return await self._own(exchange, self._checked_face(exchange), id) is not None

    @staticmethod
    def _checked_face(exchange: Exchange) -> Face:
        face = face_of(exchange.revision)
        if face is EXTENSION and lacks(exchange.client.capabilities, NEEDS):
            raise MissingClientCapability(NEEDS)
        assert face is not None, "these methods are offered only where there are tasks"
        return face

    async def _own(self, exchange: Exchange, face: Face, id: str) -> Task | None:
        task = await self.engine.store.get(id)
        if task is None or task.face != face.name or task.owner != _owner(exchange):
            return None
        return task

    # ── the extension ────────────────────────────────────────────────────────────────────────────────────────────

    async def update(self, exchange: Exchange) -> JsonObject:
        """``tasks/update``: answers to what the task asks (TASKE-08).

        Raises: InvalidParams.
        """
        task = await self.find(exchange)
        responses = exchange.params.get("inputResponses")
        if not isinstance(responses, dict) or not all(isinstance(answer, dict) for answer in responses.values()):
            raise InvalidParams("inputResponses must be an object: key of the input request → its result object")
        await self.engine.answer(task.id, {key: {"result": answer} for key, answer in responses.items()})
        return {}

    # ── the core ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def result(self, exchange: Exchange) -> JsonObject:
        """``tasks/result``: wait for the end, asking meanwhile what the task asks; then its outcome (TASKD-05, -09).

        Raises: RpcError, which may be the task's own.
        """
        task = await self.find(exchange)
        asked: dict[str, asyncio.Task[None]] = {}
        with self.engine.watching(task.id) as changed, self.engine.near(task.id, exchange.channel):
            try:
                while not (task := await self.find(exchange)).terminal:
                    self._deliver(exchange, task, asked)
                    if await self._news(changed, task):
                        await exchange.notify(STATUS, (await self.find(exchange)).seed())
            finally:
                for question in asked.values():
                    question.cancel()
                await asyncio.gather(*asked.values(), return_exceptions=True)  # another caller may ask them now
        return _outcome(task)

    async def _news(self, changed: asyncio.Event, task: Task) -> bool:
        """Whether the task changed; False when it is time to look anew, since nobody tells of a task that expires."""
        left = max(task.expires - self.engine.clock(), SHORTEST_WAIT)
        try:
            async with asyncio.timeout(min(left, LONGEST_WAIT)):
                await changed.wait()
        except TimeoutError:
            return False
        changed.clear()
        return True

    async def list(self, exchange: Exchange) -> JsonObject:
        """``tasks/list``: the caller's own tasks, oldest first (TASKD-05).

        Raises: InvalidRequest for callers that can't be told apart (TKS-03), InvalidParams.
        """
        owner = _owner(exchange)
        if owner is None:
            raise InvalidRequest("tasks/list needs an authenticated caller; keep the ids of your own tasks instead")
        cursor = exchange.params.get("cursor")
        after = None if cursor is None else decode_cursor(cursor)
        try:
            tasks = await self.engine.store.page((CORE.name, owner), after, PAGE + 1)
        except KeyError:
            raise InvalidParams("Invalid cursor; list again without one") from None
        page: JsonObject = {"tasks": [task.seed() for task in tasks[:PAGE]]}
        if len(tasks) > PAGE:
            page["nextCursor"] = encode_cursor(tasks[PAGE - 1].id)
        return page

    def _deliver(self, exchange: Exchange, task: Task, asked: dict[str, asyncio.Task[None]]) -> None:
        """Ask on this stream what nobody asks yet; stop asking what is no longer open."""
        for key in asked.keys() - task.questions.keys():
            asked.pop(key).cancel()
        for key, question in task.questions.items():
            if key not in asked and (task.id, key) not in self._asking:
                self._asking.add((task.id, key))
                asked[key] = asyncio.create_task(self._ask(exchange, task.id, key, question))

    async def _ask(self, exchange: Exchange, id: str, key: str, question: JsonObject) -> None:
        try:
            answer = {"result": await exchange.ask(question["method"], related(question["params"], id))}
        except RpcError as refusal:
            answer = {"error": refusal.to_wire()}
        except McpKitError:
            return  # this caller can't be asked, or is gone: it stays open for another
        finally:
            self._asking.discard((id, key))
        await self.engine.answer(id, {key: answer})


def _owner(exchange: Exchange) -> str | None:
    return exchange.principal.id if exchange.principal else None


def _outcome(task: Task) -> JsonObject:
    """Exactly what the call would have answered, with the mark of the task (TASKD-05, TASKD-07)."""
    if task.result is not None:
        return related(task.result, task.id)
    if task.error is not None:
        raise RpcError(task.error["code"], task.error["message"], task.error.get("data"))
    raise InternalError("The task was cancelled")

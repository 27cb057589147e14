"""Work that outlives its call: both generations of tasks behind one handle.

The newest revision has tasks as an extension (``tasks/update``, results inside ``tasks/get``), the one before as an
experiment of the core (``tasks/result``); which it is can be read off the methods that the revision has. What must
never stand here: the first call of the tool, a transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, Protocol

from mcpkit.client.answers import Answers
from mcpkit.client.contents import tool_result
from mcpkit.client.errors import ClientError, ProtocolViolation, ServerRefused, Timeout, Unsupported
from mcpkit.client.results import CallToolResult, TaskState
from mcpkit.client.rounds import responses
from mcpkit.jsonrpc.errors import InternalError, RpcError
from mcpkit.jsonrpc.messages import JsonObject

TASKS_EXTENSION: Final = "io.modelcontextprotocol/tasks"
_INTERVALS: Final = (0.02, 60.0)
_DEFAULT_INTERVAL: Final = 1.0


class Ask(Protocol):
    """Sends one request about the task."""

    def __call__(self, method: str, params: JsonObject, *, blocking: bool = False) -> Awaitable[JsonObject]:
        """The result; ``blocking`` where the server may take as long as the task does."""


class TaskHandle:
    """A task at the server. The handle may be thrown away; the task goes on."""

    def __init__(self, ask: Ask, methods: frozenset[str], answers: Answers, started: JsonObject) -> None:
        self.state = TaskState.of(started)
        """As it was last seen."""
        self._ask = ask
        self._methods = methods
        self._answers = answers
        self._answered: set[str] = set()
        self._finished: CallToolResult | None = None

    @classmethod
    def already(cls, ask: Ask, result: CallToolResult) -> TaskHandle:
        """The handle of a call that the server answered at once."""
        handle = cls(ask, frozenset(), Answers(), {"taskId": "", "status": "completed"})
        handle._finished = result
        return handle

    @property
    def task_id(self) -> str:
        """The server's name for it; empty when the call was answered at once."""
        return self.state.task_id

    async def get(self) -> TaskState:
        """Ask how it stands.

        Raises: ServerRefused for a task that the server no longer knows.
        """
        if self._finished is None:
            self.state = TaskState.of(await self._ask("tasks/get", {"taskId": self.task_id}))
        return self.state

    async def update(self, input_responses: JsonObject) -> None:
        """Answer input requests of the task (TASKE-08).

        Raises: Unsupported under a revision whose servers ask by themselves.
        """
        if "tasks/update" not in self._methods:
            raise Unsupported("under this revision the server asks for a task's input by itself")
        await self._ask("tasks/update", {"taskId": self.task_id, "inputResponses": input_responses})
        self._answered.update(input_responses)

    async def cancel(self) -> None:
        """Ask the server to stop it; it may still complete (TASKE-10)."""
        if self._finished is None:
            await self._ask("tasks/cancel", {"taskId": self.task_id})

    async def result(self, timeout: float | None = None) -> CallToolResult:  # noqa: ASYNC109 # the name people try
        """Wait for the end, answering what the task asks, and return what the tool answered.

        Raises: Timeout after ``timeout`` seconds (the task goes on), ServerRefused when it failed, ClientError.
        """
        if self._finished is None:
            try:
                async with asyncio.timeout(timeout):
                    self._finished = tool_result(await self._wait())
            except TimeoutError:
                raise Timeout(f"the task {self.task_id} is not done; ask again later") from None
        return self._finished

    async def _wait(self) -> JsonObject:
        fetched_apart = "tasks/result" in self._methods
        while True:
            if fetched_apart and (self.state.done or self.state.status == "input_required"):
                # TASKD-09: it blocks until the end and gives the server a stream to ask on
                return await self._ask("tasks/result", {"taskId": self.task_id}, blocking=True)
            if self.state.done:
                return _outcome(self.state)
            if self.state.status == "input_required":
                await self._give_input()
            await asyncio.sleep(_interval(self.state.poll_interval_ms))
            await self.get()

    async def _give_input(self) -> None:
        requests = self.state.get("inputRequests")
        if not isinstance(requests, dict):
            raise ProtocolViolation("the task wants input but does not say which")
        fresh = {key: asked for key, asked in requests.items() if key not in self._answered}
        if fresh:
            await self.update(await responses(fresh, self._answers))


def _outcome(state: TaskState) -> JsonObject:
    if state.status == "completed":
        if state.result is None:
            raise ProtocolViolation("the task is completed but has no result")
        return state.result
    if state.status == "cancelled":
        raise ClientError(f"the task {state.task_id} was cancelled")
    raise ServerRefused(_error(state.error, state.status_message))


def _error(error: Any, message: str | None) -> RpcError:
    if isinstance(error, dict) and isinstance(error.get("code"), int) and isinstance(error.get("message"), str):
        return RpcError(error["code"], error["message"], error.get("data"))
    return InternalError(message or "the task failed")


def _interval(milliseconds: Any) -> float:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return _DEFAULT_INTERVAL
    return min(max(milliseconds / 1000, _INTERVALS[0]), _INTERVALS[1])

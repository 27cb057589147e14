"""A task as a value: what is remembered of a call whose answer is fetched later, and the steps it may take.

Every step gives a new value and none leaves a terminal status, so that any store can apply them atomically. What must
never stand here: a store, a running handler, which revision spells what how (the canonical shape is the extension's).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from mcpkit.jsonrpc.messages import JsonObject

WORKING: Final = "working"
INPUT_REQUIRED: Final = "input_required"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
TERMINAL: Final = frozenset({COMPLETED, FAILED, CANCELLED})


@dataclass(frozen=True, slots=True)
class Face:
    """One of the two protocols that speak of tasks: the core's of one revision, and the extension."""

    name: str
    tool_error_fails: bool
    """A result with ``isError`` makes a task *failed* (TASKD-07), or it is just a result (TASKE-07)."""


CORE: Final = Face("core", tool_error_fails=True)
EXTENSION: Final = Face("extension", tool_error_fails=False)


@dataclass(frozen=True, slots=True)
class Task:
    """One task. Times are seconds since 1970, by the clock of whoever made it."""

    id: str
    face: str
    """The name of the protocol that made it; the other can't see it (TASKE-20)."""
    owner: str | None
    """The principal's id; None where the server doesn't authenticate."""
    created: float
    updated: float
    ttl: float
    """Seconds from ``created`` during which it can be fetched."""
    poll_ms: int
    status: str = WORKING
    message: str | None = None
    result: JsonObject | None = None
    error: JsonObject | None = None
    questions: Mapping[str, JsonObject] = field(default_factory=dict)
    """What the client is asked now: key → ``{method, params}``."""
    answers: Mapping[str, JsonObject] = field(default_factory=dict)
    """What it answered and the handler has not taken yet: key → ``{"result": …}`` or ``{"error": …}``."""
    asked: int = 0

    @property
    def terminal(self) -> bool:
        """Whether the status is final (TASKD-04)."""
        return self.status in TERMINAL

    @property
    def expires(self) -> float:
        """When its ttl is over, in seconds since 1970."""
        return self.created + self.ttl

    def expired(self, now: float) -> bool:
        """Whether it may be forgotten; never before its ttl is over (TASKE-17)."""
        return now >= self.expires

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────

    def telling(self, message: str, now: float) -> Task:
        """The handler says how far it is."""
        return self if self.terminal else replace(self, message=message, updated=now)

    def asking(self, method: str, params: JsonObject, now: float) -> tuple[str, Task]:
        """The handler asks; the key is new in the task's life (TASKE-09)."""
        key = f"{method.replace('/', '-')}-{self.asked + 1}"
        if self.terminal:
            return key, self
        questions = {**self.questions, key: {"method": method, "params": params}}
        return key, replace(self, questions=questions, asked=self.asked + 1, status=INPUT_REQUIRED, updated=now)

    def answered(self, answers: Mapping[str, JsonObject], now: float) -> Task:
        """Answers come in; those to nothing that is open are ignored (TASKE-08)."""
        fitting = {key: answer for key, answer in answers.items() if key in self.questions}
        if not fitting or self.terminal:
            return self
        still = {key: question for key, question in self.questions.items() if key not in fitting}
        status = INPUT_REQUIRED if still else WORKING
        return replace(self, questions=still, answers={**self.answers, **fitting}, status=status, updated=now)

    def taken(self, key: str) -> Task:
        """The handler has what was answered to ``key``, or asks it no longer."""
        questions = {other: question for other, question in self.questions.items() if other != key}
        answers = {other: answer for other, answer in self.answers.items() if other != key}
        status = WORKING if self.status == INPUT_REQUIRED and not questions else self.status
        return replace(self, questions=questions, answers=answers, status=status)

    def ended(self, status: str, now: float, **outcome: Any) -> Task:
        """A terminal status, with the ``result``, ``error`` or ``message`` that belongs to it."""
        if self.terminal:
            return self
        return replace(self, status=status, questions={}, answers={}, updated=now, **outcome)

    # ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def seed(self) -> JsonObject:
        """The task without what it asks or brought: what its creation answers (TASKE-04)."""
        shape: JsonObject = {
            "taskId": self.id,
            "status": self.status,
            "createdAt": _iso(self.created),
            "lastUpdatedAt": _iso(self.updated),
            "ttlMs": round(self.ttl * 1000),
            "pollIntervalMs": self.poll_ms,
        }
        if self.message is not None:
            shape["statusMessage"] = self.message
        return shape

    def detailed(self) -> JsonObject:
        """The task with everything that its status calls for (TASKE-06)."""
        shape = self.seed()
        if self.status == INPUT_REQUIRED:
            shape["inputRequests"] = dict(self.questions)
        elif self.status == COMPLETED:
            shape["result"] = self.result
        elif self.status == FAILED:
            shape["error"] = self.error
        return shape

    def to_json(self) -> JsonObject:
        """Every field, for a store that keeps bytes."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Task:
        """The opposite of :meth:`to_json`."""
        return cls(**fields)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""What an observer is told: one value per served request, made only when somebody observes.

What must never stand here: argument values, tokens, session ids in clear; an exporter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Served:
    """One request that has been answered."""

    method: str
    target: str | None
    """The tool's or prompt's name, or the resource's URI."""
    revision: str
    client: str | None
    principal: str | None
    session: str | None
    request_id: str
    error: str | None
    """None when all went well, ``tool_error`` for an isError result, else the JSON-RPC code as text."""
    seconds: float
    argument_bytes: int


class Observer(Protocol):
    """Sees requests come and go; must be quick and must not raise."""

    def began(self, method: str, target: str | None) -> None:
        """A request has reached its handler."""

    def served(self, event: Served) -> None:
        """The request has been answered, or failed, or was cancelled."""

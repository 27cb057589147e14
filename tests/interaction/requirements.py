"""Requirements of the specification, and which tests prove them: ``@proves("TOOL-02")``.

The table is requirements.toml. A test is run under the revisions in which all of its requirements hold. What must never
stand here: a test.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.interaction.ways import OLDEST_FIRST, TRANSPORTS, WAYS, Way

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Requirement:
    """One sentence of the specification."""

    id: str
    says: str
    spec: str
    """The page, below its revision's specification."""
    since: str = OLDEST_FIRST[0]
    until: str = OLDEST_FIRST[-1]
    """The last revision in which it holds."""

    @property
    def revisions(self) -> set[str]:
        """Where it holds."""
        return {revision for revision in OLDEST_FIRST if self.since <= revision <= self.until}


def read() -> dict[str, Requirement]:
    """The table."""
    table = tomllib.loads(Path(__file__).with_name("requirements.toml").read_text(encoding="utf-8"))
    return {id: Requirement(id, **row) for id, row in table.items()}


REQUIREMENTS = read()
PROVEN: dict[str, list[str]] = {}
"""Requirement → the tests that were bound to it so far."""


def proves(*ids: str, over: Collection[str] = TRANSPORTS) -> Callable[[F], F]:
    """Bind a test to requirements; it is run over these transports.

    Raises: ValueError for a requirement that is not in the table, or a test that can't run anywhere.
    """
    unknown = [id for id in ids if id not in REQUIREMENTS]
    if unknown or not ids:
        raise ValueError(f"not in requirements.toml: {', '.join(unknown) or 'none was named'}")
    revisions = set.intersection(*(REQUIREMENTS[id].revisions for id in ids))
    ways = [way for way in WAYS if way.revision in revisions and way.transport in over]
    if not ways:
        raise ValueError(f"{', '.join(ids)}: no revision has all of these")

    def bind(test: F) -> F:
        for id in ids:
            PROVEN.setdefault(id, []).append(f"{test.__module__}.{test.__name__}")
        bound: F = pytest.mark.parametrize("way", [pytest.param(way, id=str(way)) for way in ways])(test)
        return bound

    return bind


def ways_of(test: Any) -> list[Way]:
    """Where a test is run."""
    return [param.values[0] for mark in test.pytestmark if mark.args[0] == "way" for param in mark.args[1]]

"""The table of requirements and the tests that are bound to it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.interaction.requirements import PROVEN, REQUIREMENTS, proves
from tests.interaction.ways import OLDEST_FIRST, WAYS

HERE = Path(__file__).parent


def test_every_requirement_has_a_test() -> None:
    for path in HERE.glob("test_*.py"):
        importlib.import_module(f"tests.interaction.{path.stem}")
    assert sorted(REQUIREMENTS.keys() - PROVEN.keys()) == []


def test_no_test_names_an_unknown_requirement() -> None:
    """Binding fails when the file is imported, so nothing else needs to be looked at."""
    with pytest.raises(ValueError, match="NONE-01"):
        proves("NONE-01")
    with pytest.raises(ValueError, match="none was named"):
        proves()


def test_a_test_runs_where_all_its_requirements_hold() -> None:
    with pytest.raises(ValueError, match="no revision has all"):
        proves("BAT-01", "SUB-01")
    with pytest.raises(ValueError, match="no revision has all"):
        proves("SUB-01", over=("sse",))


def test_the_table_speaks_of_revisions_that_there_are() -> None:
    for requirement in REQUIREMENTS.values():
        assert requirement.since in OLDEST_FIRST, requirement.id
        assert requirement.until in OLDEST_FIRST, requirement.id
        assert requirement.revisions, requirement.id
        assert requirement.spec, requirement.id


def test_every_transport_carries_what_it_can() -> None:
    """transports.md §0: all five revisions but over HTTP+SSE, which the newest has left."""
    assert len(WAYS) == 4 * len(OLDEST_FIRST) - 1

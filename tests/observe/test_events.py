"""What an observer is told."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from mcpkit.observe.events import Served


def test_an_event_holds_sizes_and_names_and_no_values() -> None:
    """LEAK-05: there is no field that arguments, results or tokens could be put in."""
    assert {field.name for field in fields(Served)} == {
        "method",
        "target",
        "revision",
        "client",
        "principal",
        "session",
        "request_id",
        "error",
        "seconds",
        "argument_bytes",
    }


def test_an_event_cannot_be_changed_by_one_observer_for_the_next() -> None:
    event = Served("m", None, "", None, None, None, "1", None, 0.0, 0)
    with pytest.raises(FrozenInstanceError):
        event.method = "other"  # type: ignore[misc]  # the mistake under test

"""What an observer is told."""

from __future__ import annotations

import pytest

from mcpkit.observe.events import Served
from tests.observe.calls import served


def test_an_event_holds_sizes_and_names_and_no_values() -> None:
    """LEAK-05: nothing that it shows is an argument, a result or a token."""
    assert {name for name in dir(Served) if not name.startswith("_")} == {
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
        "labels",
    }
    assert not hasattr(served(), "__dict__")


@pytest.mark.parametrize("name", ["method", "error", "seconds", "call"])
def test_an_event_cannot_be_changed_by_one_observer_for_the_next(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(served(), name, "other")


def test_what_was_not_said_is_none_or_nothing() -> None:
    event = served(target=None)
    assert (event.target, event.client, event.principal, event.session, event.argument_bytes) == (None,) * 4 + (0,)
    assert served(target=1).target is None
    assert served(client=[]).client is None


@pytest.mark.parametrize(
    ("arguments", "size"), [({}, 0), ({"a": 1}, 7), ({"a": 1 << 70}, 28), ({"a": "\ud800"}, 14)], ids=repr
)
def test_arguments_are_measured_as_json(arguments: dict[str, object], size: int) -> None:
    """Also those that the fast writer refuses."""
    assert served(arguments=arguments).argument_bytes == size

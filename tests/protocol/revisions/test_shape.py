"""The verbs of a change: each gives back its very argument when it has nothing to do, and mutates nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from mcpkit.protocol.revisions.revision import Adapt
from mcpkit.protocol.revisions.shape import adapt_items, drop, each, for_methods, prune, within

without_a = drop("a")

CASES: list[tuple[Adapt, dict[str, Any], dict[str, Any]]] = [
    (without_a, {"a": 1, "b": 2}, {"b": 2}),
    (drop("a", "b"), {"a": 1, "b": 2}, {}),
    (within("m", without_a), {"m": {"a": 1, "b": 2}, "a": 3}, {"m": {"b": 2}, "a": 3}),
    (within("m", without_a), {"m": {"a": 1}}, {"m": {}}),
    (each("l", without_a), {"l": [{"a": 1}, {"b": 2}, "a"], "n": 1}, {"l": [{}, {"b": 2}, "a"], "n": 1}),
    (prune("m", "a"), {"m": {"a": 1, "b": 2}}, {"m": {"b": 2}}),
    (prune("m", "a"), {"m": {"a": 1}, "n": 1}, {"n": 1}),
]
NOTHING_TO_DO: list[tuple[Adapt, dict[str, Any]]] = [
    (without_a, {"b": {"a": 1}}),
    (without_a, {}),
    (within("m", without_a), {"m": {"b": 1}}),
    (within("m", without_a), {"m": ["a"]}),
    (within("m", without_a), {"a": 1}),
    (each("l", without_a), {"l": [{"b": 1}, 1, None, [{"a": 1}]]}),
    (each("l", without_a), {"l": []}),
    (each("l", without_a), {"l": {"a": 1}}),
    (each("l", without_a), {}),
    (prune("m", "a"), {"m": {}}),
    (prune("m", "a"), {"m": None}),
]


@pytest.mark.parametrize(("adapt", "value", "expected"), CASES)
def test_verbs(adapt: Adapt, value: dict[str, Any], expected: dict[str, Any]) -> None:
    """SHAPE-01: members go, order and neighbours stay, the original is untouched."""
    before = deepcopy(value)
    adapted = adapt(value)
    assert adapted == expected
    assert list(adapted) == [name for name in value if name in expected]
    assert value == before


@pytest.mark.parametrize(("adapt", "value"), NOTHING_TO_DO)
def test_nothing_to_do(adapt: Adapt, value: dict[str, Any]) -> None:
    """The argument itself comes back: a plain result costs a look."""
    assert adapt(value) is value


def test_items() -> None:
    """A list is copied only when one of its items changed."""
    items = [{"b": 1}, 2]
    assert adapt_items(items, without_a) is items
    assert adapt_items([{"a": 1}], without_a) == [{}]


def test_one_adapt_for_several_methods() -> None:
    """Spelled once."""
    assert for_methods(("x", "y"), without_a) == {"x": without_a, "y": without_a}

"""The few verbs that a change is told with: drop a member, do something to each item of a list, to one member.

Every verb gives a function that returns its very argument when there is nothing to do (so that plain results cost
little) and never mutates it. What must never stand here: a name of the protocol, a revision.
"""

from __future__ import annotations

from typing import Any

from mcpkit.protocol.revisions.revision import Adapt


def drop(*names: str) -> Adapt:
    """Leave out these members."""
    dropped = frozenset(names)

    def adapt(value: dict[str, Any]) -> dict[str, Any]:
        if dropped.isdisjoint(value):
            return value
        return {name: member for name, member in value.items() if name not in dropped}

    return adapt


def within(name: str, inner: Adapt) -> Adapt:
    """Do ``inner`` to one member, if it is there and an object."""

    def adapt(value: dict[str, Any]) -> dict[str, Any]:
        member = value.get(name)
        if not isinstance(member, dict):
            return value
        adapted = inner(member)
        return value if adapted is member else {**value, name: adapted}

    return adapt


def each(name: str, inner: Adapt) -> Adapt:
    """Do ``inner`` to every object of a list member."""

    def adapt(value: dict[str, Any]) -> dict[str, Any]:
        items = value.get(name)
        if not isinstance(items, list):
            return value
        adapted = adapt_items(items, inner)
        return value if adapted is items else {**value, name: adapted}

    return adapt


def adapt_items(items: list[Any], inner: Adapt) -> list[Any]:
    """Do ``inner`` to every object of a list; the list itself when none changed."""
    adapted = [inner(item) if isinstance(item, dict) else item for item in items]
    return items if adapted == items else adapted


def prune(name: str, *names: str) -> Adapt:
    """Leave members out of the object ``name``, and that object itself when nothing remains of it."""
    inner = drop(*names)

    def adapt(value: dict[str, Any]) -> dict[str, Any]:
        member = value.get(name)
        if not isinstance(member, dict):
            return value
        adapted = inner(member)
        if adapted is member:
            return value
        return {**value, name: adapted} if adapted else {key: kept for key, kept in value.items() if key != name}

    return adapt


def for_methods(methods: tuple[str, ...], adapt: Adapt) -> dict[str, Adapt]:
    """The same adapt for several methods."""
    return dict.fromkeys(methods, adapt)

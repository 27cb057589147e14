"""Arguments that fail their schema, mended where that can mean one thing only: what models send in place of the right.

A text that spells an integer, a number, a boolean, null, an object or an array becomes that; null for a member that may
be left out leaves it out; extra arguments are dropped where the server says so. Only failing places are touched, at any
depth, and never one where the schema can mean the text. What must never stand here: a function, what is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mcpkit.features.options import MOST_UNPACKED, ArgumentOptions
from mcpkit.features.problems import path_of
from mcpkit.features.schema import Schema, is_large
from mcpkit.jsonrpc.codec import Limits, load
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import JsonObject

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError as Violation

Path: TypeAlias = tuple[str | int, ...]
Fix: TypeAlias = tuple[Path, Any]
"""A place in the arguments, and the value to put there (or ABSENT)."""
Fixes: TypeAlias = tuple[Fix, ...]

ABSENT: Final = object()
"""In a fix: the member is left out."""
MOST_VALIDATIONS: Final = 16
"""How often one call's arguments are validated again before they are given up."""
LARGE_COUNTS: Final = 4
"""As how many validations one of large arguments counts."""
LARGE_TEXT: Final = 64 * 1024
"""Characters from which on arguments of few values are large too."""
MOST_ALTERNATIVES: Final = 8
"""How many ways to mend one place are tried."""

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_BOOLEANS: Final = {"true": True, "True": True, "false": False, "False": False}


def coerce(
    schema: Schema, arguments: Mapping[str, Any], options: ArgumentOptions, violations: Sequence[Violation]
) -> tuple[JsonObject, list[str]] | None:
    """Arguments that fit the schema and the places that were mended; None where they can't be.

    ``violations`` are what the schema finds in the arguments; none where they fit it already.
    """
    return _Search(schema, options).run(dict(arguments), violations) if violations else None


class _Search:
    """The search for fixes of one call's arguments: those without a choice at once, others one after the other."""

    __slots__ = ("_left", "_options", "_schema", "_texts", "_unpacking")

    def __init__(self, schema: Schema, options: ArgumentOptions) -> None:
        self._schema = schema
        self._options = options
        self._left = MOST_VALIDATIONS
        self._unpacking = MOST_UNPACKED
        self._texts: dict[tuple[Path, str], Any] = {}

    def run(self, value: JsonObject, violations: Sequence[Violation]) -> tuple[JsonObject, list[str]] | None:
        found = self._mended(value, (), violations)
        return None if found is None else (found[0], sorted({path_of(path) for path, _ in found[1]}))

    def _judged(self, value: JsonObject, done: Fixes) -> tuple[JsonObject, Fixes] | None:
        """The value where it fits by now, or once more is mended; None where it can't be."""
        if self._left <= 0:
            return None
        self._left -= LARGE_COUNTS if _is_heavy(value) else 1
        violations = self._schema.violations(value)
        if not violations:
            return None if violations is None else (value, done)
        return self._mended(value, done, violations)

    def _mended(
        self, value: JsonObject, done: Fixes, violations: Sequence[Violation]
    ) -> tuple[JsonObject, Fixes] | None:
        choices = self._choices(violations)
        if choices is None:
            return None
        certain = tuple(fix for alternatives in choices if len(alternatives) == 1 for fix in alternatives[0])
        for fixes in [certain] if certain else choices[0]:
            mended = _applied(value, fixes)
            found = None if mended is None else self._judged(mended, done + fixes)
            if found is not None:
                return found
        return None

    def _choices(self, violations: Sequence[Violation]) -> list[list[Fixes]] | None:
        """The ways to mend each failing place; None where one has none."""
        places: dict[Path, list[Violation]] = {}
        for violation in violations:
            places.setdefault(tuple(violation.instance_path), []).append(violation)
        choices = []
        for path, found in places.items():
            alternatives = self._alternatives(path, found)
            if not alternatives:
                return None
            choices.append(alternatives)
        return choices

    def _alternatives(self, path: Path, violations: Sequence[Violation]) -> list[Fixes]:
        """The ways to mend one place where all these fail."""
        found: list[Fixes] = []
        for violation in violations:
            fixes = list(self._fixes(path, violation))
            if not fixes and _kind(violation) not in _LISTS:  # which a Type beside them may mend
                return []
            found += fixes
        if len(found) > 1:
            found = list({repr(each): each for each in found}.values())
        return found[:MOST_ALTERNATIVES]

    def _fixes(self, path: Path, violation: Violation) -> Iterator[Fixes]:
        kind, value = _kind(violation), violation.instance
        if kind in _UNKNOWN:
            if self._options.extra == "ignore" and not path:
                yield tuple(((name,), ABSENT) for name in violation.kind.unexpected)  # type: ignore[attr-defined]
            return
        if not self._options.lenient:
            return
        if kind in _BRANCHES:
            yield from self._of_branches(violation)
        elif isinstance(value, str):
            yield from (((path, each),) for each in self._meant(violation, value))
        if value is None and path and isinstance(path[-1], str) and kind in _TYPED:
            yield ((path, ABSENT),)

    def _of_branches(self, violation: Violation) -> Iterator[Fixes]:
        """What makes the value fit one of several schemas."""
        branches: Sequence[Sequence[Violation]] = violation.kind.context  # type: ignore[attr-defined]  # of those kinds
        if isinstance(violation.instance, str) and _means_text(violation):
            return
        for branch in branches:
            for parts in islice(product(*(self._choices(branch) or [[]])), MOST_ALTERNATIVES):
                yield tuple(fix for part in parts for fix in part)

    def _meant(self, violation: Violation, text: str) -> Iterator[Any]:
        """The JSON values that a text may mean where that violation says what is wanted."""
        kind: Any = violation.kind
        match _kind(violation):
            case "Type":
                for name in kind.types:
                    if name in _CONTAINERS:
                        yield from self._unpacked(name, (tuple(violation.instance_path), text))
                    elif name in _READERS:
                        yield from _READERS[name](text)
            case "Enum":
                yield from _among(kind.options, text)
            case "Constant":
                yield from _among([kind.expected_value], text)

    def _unpacked(self, name: str, place: tuple[Path, str]) -> Iterator[Any]:
        """The object or array that the text at a place holds as JSON; it is read once, and only so much of them all."""
        start, kind = _CONTAINERS[name]
        if place[1].lstrip().startswith(start):
            if place not in self._texts:
                self._texts[place] = self._loaded(place[1])
            if isinstance(self._texts[place], kind):
                yield self._texts[place]

    def _loaded(self, text: str) -> Any:
        weight = 1 + sum(map(text.count, ",:")) + 3 * sum(map(text.count, "[{"))
        self._unpacking -= weight
        if self._unpacking < 0:
            return None
        try:
            return load(text.encode(), Limits(values=MOST_UNPACKED))
        except (RpcError, ValueError):
            return None


def _means_text(violation: Violation) -> bool:
    """Whether one of the branches takes a text, though not this one (too short, another pattern)."""
    place = violation.instance_path
    for branch in violation.kind.context:  # type: ignore[attr-defined]  # of those kinds
        here = [each for each in branch if each.instance_path == place]
        if any(_kind(each) in _BRANCHES and _means_text(each) for each in here):
            return True
        if not any(_kind(each) in _TYPED for each in here):
            return True
    return False


def _among(options: Sequence[Any], text: str) -> Iterator[Any]:
    for name in ("integer", "number", "boolean", "null"):
        for value in _READERS[name](text):
            if any(type(value) is type(option) and value == option for option in options):
                yield value


def _integer(text: str) -> Iterator[Any]:
    if _INTEGER.fullmatch(text.strip()):
        yield int(text)


def _number(text: str) -> Iterator[Any]:
    bare = text.strip()
    if _INTEGER.fullmatch(bare):
        yield int(bare)
    elif _NUMBER.fullmatch(bare) and isfinite(float(bare)):
        yield float(bare)


def _boolean(text: str) -> Iterator[Any]:
    if text.strip() in _BOOLEANS:
        yield _BOOLEANS[text.strip()]


def _null(text: str) -> Iterator[Any]:
    if text.strip() == "null":
        yield None


_READERS: Final[Mapping[str, Callable[[str], Iterator[Any]]]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "null": _null,
}
_CONTAINERS: Final[Mapping[str, tuple[str, type]]] = {"object": ("{", dict), "array": ("[", list)}
_BRANCHES: Final = frozenset({"AnyOf", "OneOfNotValid"})
_LISTS: Final = frozenset({"Enum", "Constant"})
_TYPED: Final = _BRANCHES | _LISTS | {"Type"}
"""Violations that say what would be right instead of a text or null."""
_UNKNOWN: Final = frozenset({"AdditionalProperties", "UnevaluatedProperties"})


def _is_heavy(value: JsonObject) -> bool:
    """Whether to judge the value takes long: it consists of many values, or of long texts."""
    if is_large(value):
        return True
    characters, nodes = 0, list(value.values())
    while nodes and characters <= LARGE_TEXT:
        node = nodes.pop()
        if isinstance(node, str):
            characters += len(node)
        elif isinstance(node, Mapping | list):
            nodes += node.values() if isinstance(node, Mapping) else node
    return characters > LARGE_TEXT


def _kind(violation: Violation) -> str:
    return type(violation.kind).__name__


def _applied(value: JsonObject, fixes: Fixes) -> JsonObject | None:
    """The arguments with the fixes; only containers on the way to one are copied. None where there is no such place."""
    root = dict(value)
    copies: dict[Path, Any] = {(): root}
    for path, fixed in fixes:
        container: Any = root
        for depth in range(1, len(path)):
            here = path[:depth]
            if here not in copies:
                part = _key(container, path[depth - 1])
                if part is None:
                    return None
                inner = container[part]
                copies[here] = container[part] = dict(inner) if isinstance(inner, dict) else list(inner)
            container = copies[here]
        part = _key(container, path[-1])
        if part is None:
            return None
        if fixed is ABSENT:
            del container[part]
        else:
            container[part] = fixed
    return root


def _key(container: Any, part: str | int) -> str | int | None:
    """The index or name that the validator means: it tells the name "7" as a number, and "07" as the same."""
    if isinstance(container, list):
        return part
    return str(part) if str(part) in container else None

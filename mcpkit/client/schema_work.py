"""How much work a server's schema may cause, reckoned before it is done: a small schema can ask for 2^100 steps.

A schema that applies others beside each other and refers to itself doubles the work with each level. The checker can't
be stopped once it runs, so what could take too long is not begun. What must never stand here: checking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from mcpkit.jsonrpc.messages import JsonObject

MOST_STEPS: Final = 20_000_000
"""Steps of the checker, of which it does about as many in a second."""
_MOST_RECKONED: Final = 20_000
"""Steps of the reckoning itself."""
_DEEPEST: Final = 200
_PATTERN_STEPS: Final = 4
_MOST_PATTERNS: Final = 300
_BYTES_A_NODE: Final = 4

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("not", "if", "then", "else")
_BY_NAME: Final = ("dependentSchemas", "dependencies")
_UNEVALUATED: Final = ("unevaluatedProperties", "unevaluatedItems")
_COLLECTING: Final = 3
_NAMING: Final = ("$id", "id")
_ELSEWHERE: Final = ("http://", "https://")
_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties")
_NAMES: Final = "propertyNames"
_ITEMS: Final = ("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


class TooMuchWork(ValueError):
    """Checking with this schema could take too long; the message says why."""


class Work:
    """The work that one schema causes."""

    def __init__(self, schema: JsonObject) -> None:
        """Raises: TooMuchWork for a schema that is too deep, whatever it is to check."""
        self._schema = schema
        self._anchors, self._named = _anchors(schema)
        self._static = _Static(self)
        self.steps = self._static.steps(schema, 0)
        """For each node of a value, at most; None where the schema refers to itself: then it depends on the value."""

    def check(self, value: Any, size: int) -> int:
        """The steps that checking ``value``, which is ``size`` bytes long as JSON, takes at most.

        Raises: TooMuchWork where that is not affordable.
        """
        most = None if self.steps is None else self.steps * (size // _BYTES_A_NODE + 1)
        if most is not None and most <= MOST_STEPS:
            return most
        return _Reckoning(self).steps(self._schema, value, 0)

    def beside(self, node: JsonObject) -> Iterator[Any]:
        """The schemas that apply to the very value that this one applies to."""
        for name in _LISTS:
            if isinstance(node.get(name), list):
                yield from node[name]
        for name in _SINGLE:
            if name in node:
                yield node[name]
        for name in _BY_NAME:
            if isinstance(node.get(name), dict):
                yield from node[name].values()
        for name in _REFERENCES:
            if isinstance(node.get(name), str):
                yield self._target(node[name])

    def _target(self, reference: str) -> Any:
        """What a reference refers to; an empty schema where it leads outside, which is refused elsewhere.

        Raises: TooMuchWork where the checker might find something else there than we do.
        """
        place, _, fragment = reference.partition("#")
        if self._named or (place and not (place.startswith(_ELSEWHERE) and "$id" not in self._schema)):
            raise TooMuchWork("it refers to schemas within it by names other than $anchor")
        fragment = "" if place else unquote(fragment)
        if fragment and not fragment.startswith("/"):
            return self._anchors.get(fragment, {})
        found: Any = {} if place else self._schema
        for step in fragment.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(key)
            elif isinstance(found, list):
                if not (key.isascii() and key.isdecimal()) or int(key[:9]) >= len(found):
                    raise TooMuchWork("it refers to an entry of a list that is not there")
                found = found[int(key[:9])]
            else:
                return {}
        return found


class _Static:
    """The size of a schema with every reference written out, for those that don't refer to themselves."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._known: dict[int, tuple[int | None, int]] = {}
        self._open: set[int] = set()

    def steps(self, node: Any, depth: int) -> int | None:
        return self._measure(node, depth)[0]

    def _measure(self, node: Any, depth: int) -> tuple[int | None, int]:
        """The steps, None for one that refers to itself, and the levels."""
        if not isinstance(node, dict):
            return 1, 0
        if id(node) in self._open:
            return None, 0
        if id(node) not in self._known:
            if depth > _DEEPEST:
                raise TooMuchWork(f"it is more than {_DEEPEST} levels deep")
            self._open.add(id(node))
            self._known[id(node)] = self._sum(node, depth)
            self._open.discard(id(node))
        steps, levels = self._known[id(node)]
        if depth + levels > _DEEPEST:
            raise TooMuchWork(f"it is more than {_DEEPEST} levels deep")
        return steps, levels

    def _sum(self, node: JsonObject, depth: int) -> tuple[int | None, int]:
        steps: int | None = None if _collects(node) else _own(node)
        levels = 0
        for inner in (*self._work.beside(node), *_below(node)):
            more, deeper = self._measure(inner, depth + 1)
            steps = None if steps is None or more is None else steps + more
            levels = max(levels, deeper + 1)
        return steps, levels


class _Reckoning:
    """The steps for one value, each pair of a schema and a part of the value reckoned once."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._known: dict[tuple[int, int], int] = {}
        self._reckoned = 0

    def steps(self, node: Any, value: Any, depth: int) -> int:
        """Raises: TooMuchWork."""
        if not isinstance(node, dict):
            return 1
        key = id(node), id(value)
        if key in self._known:
            return self._known[key]
        self._reckoned += 1
        if depth > 2 * _DEEPEST or self._reckoned > _MOST_RECKONED:
            raise TooMuchWork("it refers to itself too often")
        self._known[key] = 0  # a schema that applies itself to the same value again is cut short by the checker, too
        steps, times = _own(node), _times(node, value)
        for inner in self._work.beside(node):
            steps += times * self.steps(inner, value, depth + 1)
        for inner, part in _parts(node, value):
            steps += self.steps(inner, part, depth + 1)
        if steps > MOST_STEPS:
            raise TooMuchWork(f"checking could take more than {MOST_STEPS:,} steps")
        self._known[key] = steps
        return steps


def _own(node: JsonObject) -> int:
    """Steps of the keywords that apply no other schema."""
    listed = node.get("enum")
    patterns = node.get("patternProperties")
    count = ("pattern" in node) + (len(patterns) if isinstance(patterns, dict) else 0)
    return 1 + (len(listed) if isinstance(listed, list) else 0) + _PATTERN_STEPS * count


def _collects(node: JsonObject) -> bool:
    """Whether the checker asks the schemas beside it again, to learn which parts of the value they have looked at."""
    return any(name in node for name in _UNEVALUATED)


def _times(node: JsonObject, value: Any) -> int:
    """How often a schema beside this one is applied to the value, at most: of nested ones the product counts."""
    return _COLLECTING * (1 + (len(value) if isinstance(value, dict | list) else 0)) if _collects(node) else 1


def _below(node: JsonObject) -> Iterator[Any]:
    """The schemas that apply to parts of a value."""
    for name in ("properties", "patternProperties"):
        if isinstance(node.get(name), dict):
            yield from node[name].values()
    for name in (*_MEMBERS, _NAMES, *_ITEMS):
        inner = node.get(name)
        if isinstance(inner, list):
            yield from inner
        elif inner is not None:
            yield inner


def _parts(node: JsonObject, value: Any) -> Iterator[tuple[Any, Any]]:
    """Each schema that may apply to a part of this value, with that part."""
    if isinstance(value, dict):
        named = node.get("properties")
        if isinstance(named, dict):
            yield from ((named[name], value[name]) for name in value.keys() & named.keys())
        patterned = node.get("patternProperties")
        whole = [*(patterned.values() if isinstance(patterned, dict) else ()), *(node.get(name) for name in _MEMBERS)]
        yield from ((inner, part) for inner in whole if isinstance(inner, dict) for part in value.values())
        if isinstance(node.get(_NAMES), dict):
            yield from ((node[_NAMES], name) for name in value)
    elif isinstance(value, list):
        for keyword in _ITEMS:
            inner = node.get(keyword)
            if isinstance(inner, list):
                yield from zip(inner, value, strict=False)
            elif isinstance(inner, dict):
                yield from ((inner, part) for part in value)


def _anchors(schema: Any) -> tuple[dict[str, Any], bool]:
    """Every schema with an anchor, and whether others have an id: their references start from there.

    Raises: TooMuchWork where there are too many patterns to be compiled, or two anchors of one name.
    """
    waiting, patterns, found, named = [schema], 0, dict[str, Any](), False
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            by_name = one.get("patternProperties")
            patterns += isinstance(one.get("pattern"), str) + (len(by_name) if isinstance(by_name, Mapping) else 0)
            if patterns > _MOST_PATTERNS:
                raise TooMuchWork(f"it has more than {_MOST_PATTERNS} patterns")
            named = named or (one is not schema and any(isinstance(one.get(name), str) for name in _NAMING))
            _keep_anchors(one, found)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return found, named


def _keep_anchors(one: Mapping[str, Any], found: dict[str, Any]) -> None:
    for keyword in ("$anchor", "$dynamicAnchor"):
        name = one.get(keyword)
        if isinstance(name, str):
            if found.get(name, one) is not one:
                raise TooMuchWork(f"two schemas within it have the anchor {name[:50]}")
            found[name] = one

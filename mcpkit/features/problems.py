"""What is wrong with a value, said shortly and for a model to act on: where, what was expected, what came.

One wording for both judges, JSON Schema and pydantic. What must never stand here: a URL, a big value, a Python
class's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcpkit.features.suggestions import clipped, did_you_mean, nearest

if TYPE_CHECKING:  # whoever comes with one of these has loaded what it is of
    from jsonschema_rs import ValidationError as SchemaViolation
    from pydantic import ValidationError

_MOST_SHOWN: Final = 40
"""Characters of a caller's value that are shown back."""
_MOST_OPTIONS: Final = 12
MOST_EXPLAINED: Final = 1000
"""Values that don't fit from which on pydantic is not asked which they are: it can only tell all of them."""
_ARTICLES: Final[Mapping[str, str]] = {
    "array": "an array",
    "boolean": "a boolean",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where: ``user.tags[2]``; the path is empty for the whole value."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def path_of(parts: Iterable[str | int]) -> str:
    """Keys and indexes as a path."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{clipped(part)}" if path else clipped(part)
    return path


def shown(value: Any) -> str:
    """A value as it may be shown back: scalars in JSON, clipped; of containers only what they are."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    return clipped(json.dumps(value, ensure_ascii=True, default=lambda odd: type(odd).__name__), _MOST_SHOWN)


# ── JSON Schema ──────────────────────────────────────────────────────────────────────────────────────────────────────


def from_schema(violation: SchemaViolation, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems behind one violation of ``schema``."""
    from jsonschema_rs import ValidationErrorKind as Kind  # noqa: PLC0415 - loaded by now; most programs never need it

    place = violation.instance_path
    match violation.kind:
        case Kind.Required(property=name):
            yield Problem(path_of([*place, name]), f"is required but missing{_misspelt(violation, name, schema)}")
        case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
            yield from _unexpected(violation, names, schema)
        case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
            yield from _no_branch(violation, branches, schema)
        case Kind.PropertyNames(error=inner):
            yield Problem(path_of(place), f"the name {shown(inner.instance)} is not allowed here")
        case _:
            yield Problem(path_of(place), _said(violation))


def _unexpected(violation: SchemaViolation, names: Sequence[str], schema: Mapping[str, Any]) -> Iterator[Problem]:
    known = _at(schema, violation.schema_path[:-1]).get("properties", {})
    given = violation.instance if isinstance(violation.instance, dict) else {}
    free = [name for name in known if name not in given]
    for name in names:
        hint = did_you_mean(name, free) or (
            f"; known are {', '.join(known)}" if 0 < len(known) <= _MOST_OPTIONS else ""
        )
        yield Problem(path_of([*violation.instance_path, name]), f"is unknown{hint}")


def _misspelt(violation: SchemaViolation, name: str, schema: Mapping[str, Any]) -> str:
    """A member that nobody knows may be the one that is missed."""
    known = _at(schema, violation.schema_path[:-1]).get("properties", {})
    given = violation.instance if isinstance(violation.instance, dict) else {}
    near = nearest(name, [other for other in given if other not in known])
    return f"; is {near!r} meant to be it?" if near else ""


def _at(schema: Any, path: Iterable[str | int]) -> Mapping[str, Any]:
    """The part of the schema that a violation names; nothing where it is written elsewhere."""
    for part in path:
        try:
            schema = schema[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return schema if isinstance(schema, Mapping) else {}


def _no_branch(
    violation: SchemaViolation, branches: Sequence[Sequence[SchemaViolation]], schema: Mapping[str, Any]
) -> Iterator[Problem]:
    """A choice that nothing fits: the types there are, or what the one branch of the right type misses."""
    expected: list[str] = []
    close: list[Sequence[SchemaViolation]] = []
    for branch in branches:
        first = branch[0] if branch else None
        same_place = first is not None and len(first.instance_path) == len(violation.instance_path)
        if first is not None and same_place and _kind(first) == "Type":
            expected += first.kind.types  # type: ignore[attr-defined]  # which that kind has
        else:
            close.append(branch)
    if len(close) == 1:
        for inner in close[0]:
            yield from from_schema(inner, schema)
        return
    wanted = _one_of_types(expected) if expected and not close else "one of the allowed forms"
    yield Problem(path_of(violation.instance_path), f"expected {wanted}, got {shown(violation.instance)}")


def _one_of_types(types: Iterable[str]) -> str:
    named = sorted(dict.fromkeys(types), key=lambda name: name == "null")
    return " or ".join(_ARTICLES.get(name, name) for name in named)


def _options(options: Sequence[Any]) -> str:
    listed = ", ".join(shown(option) for option in options[:_MOST_OPTIONS])
    return f"{listed}, …" if len(options) > _MOST_OPTIONS else listed


def _said(violation: SchemaViolation) -> str:
    word = _WORDS.get(_kind(violation))
    return word(violation.kind, shown(violation.instance)) if word else clipped(violation.message, 160)


def _kind(violation: SchemaViolation) -> str:
    return type(violation.kind).__name__


_WORDS: Final[Mapping[str, Callable[[Any, str], str]]] = {
    "Type": lambda kind, got: f"expected {_one_of_types(kind.types)}, got {got}",
    "Enum": lambda kind, got: f"expected one of {_options(kind.options)}, got {got}",
    "Constant": lambda kind, got: f"expected {shown(kind.expected_value)}, got {got}",
    "Minimum": lambda kind, got: f"must be at least {kind.limit}, got {got}",
    "Maximum": lambda kind, got: f"must be at most {kind.limit}, got {got}",
    "ExclusiveMinimum": lambda kind, got: f"must be greater than {kind.limit}, got {got}",
    "ExclusiveMaximum": lambda kind, got: f"must be less than {kind.limit}, got {got}",
    "MultipleOf": lambda kind, got: f"must be a multiple of {kind.multiple_of}, got {got}",
    "MinLength": lambda kind, got: f"must have at least {kind.limit} characters, got {got}",
    "MaxLength": lambda kind, got: f"must have at most {kind.limit} characters, got {got}",
    "Pattern": lambda kind, got: f"must match the pattern {clipped(kind.pattern)}, got {got}",
    "Format": lambda kind, got: f"must be a {kind.format}, got {got}",
    "MinItems": lambda kind, got: f"must have at least {kind.limit} items",
    "MaxItems": lambda kind, got: f"must have at most {kind.limit} items",
    "MinProperties": lambda kind, got: f"must have at least {kind.limit} members",
    "MaxProperties": lambda kind, got: f"must have at most {kind.limit} members",
    "UniqueItems": lambda kind, got: "must not contain the same item twice",
    "Contains": lambda kind, got: "lacks an item that must be there",
    "AdditionalItems": lambda kind, got: f"must have at most {kind.limit} items",
    "FalseSchema": lambda kind, got: "is not allowed here",
    "Not": lambda kind, got: f"{got} is not allowed here",
    "OneOfMultipleValid": lambda kind, got: f"{got} fits more than one of the allowed forms, it must fit one",
}


# ── pydantic ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def from_pydantic(error: ValidationError, prefix: Sequence[str | int] = ()) -> list[Problem]:
    """What pydantic found, without its URLs and its reprs; of very many only how many they are."""
    if is_long(error):
        text = f"{error.error_count()} values don't fit their types; send fewer at a time to be told which and why"
        return [Problem(path_of(prefix), text)]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Problem(path_of([*prefix, *entry["loc"]]), _pydantic_said(entry["type"], entry["msg"])) for entry in found]


def is_long(error: ValidationError) -> bool:
    """Whether pydantic found so much that to have it told would take far longer than to find it."""
    return error.error_count() > MOST_EXPLAINED


def _pydantic_said(kind: str, message: str) -> str:
    if kind == "missing":
        return "is required but missing"
    for noise in ("Value error, ", "Assertion failed, ", "Input should be "):
        if message.startswith(noise):
            rest = message.removeprefix(noise)
            return clipped(f"expected {rest}" if noise.startswith("Input") else rest, 200)
    return clipped(message, 200)

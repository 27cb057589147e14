"""JSON Schema: from Python types, and compiled for judging values (2020-12, spec server/tools; JSCH-01…10).

The one place that knows the validator. What must never stand here: fetching anything (a ``$ref`` to a network
address is refused), a regular expression engine that backtracks.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, Literal, NoReturn, TypeAlias

import jsonschema_rs
from jsonschema_rs import RegexOptions, ValidationError, validator_for
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from mcpkit.features.problems import Problem, from_schema, path_of
from mcpkit.features.suggestions import clipped
from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.jsonrpc.messages import JsonObject

MOST_NODES: Final = 10_000
"""Objects and arrays that one schema may consist of."""
DEEPEST: Final = 64
LARGE: Final = 1000
"""Values within one from which on only the first problem is told."""

Document: TypeAlias = JsonObject | bool
Side: TypeAlias = Literal["validation", "serialization"]
"""A schema of what is accepted, or of what is produced."""

_INTEGER: Final = {"type": "integer"}
_NUMBER: Final = {"type": "number"}


class SchemaError(McpKitError):
    """A JSON Schema that can't be used: invalid, too big, or with a reference that leads nowhere."""


class Schema:
    """A compiled JSON Schema. ``document`` is what was compiled, member by member as its author wrote it."""

    __slots__ = ("_is_valid", "_validator", "document")

    def __init__(self, document: Document, *, formats: bool = False) -> None:
        """Compile; the dialect is the one that ``$schema`` names, 2020-12 without.

        ``formats`` makes ``format`` a demand; without it that is a remark (JSCH-10). Raises: SchemaError.
        """
        _check_size(document)
        self.document: Document = deepcopy(document)
        try:
            self._validator: jsonschema_rs.Validator = validator_for(
                self.document, retriever=_refuse, pattern_options=RegexOptions(), validate_formats=formats
            )
        except (ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError) as error:
            raise SchemaError(_why(error)) from None
        self._is_valid = self._validator.is_valid

    def valid(self, value: Any) -> bool:
        """Whether a JSON value fits."""
        try:
            return self._is_valid(value)
        except (ValueError, TypeError):  # a lone surrogate, or no JSON value at all
            return False

    def violations(self, value: Any) -> list[ValidationError] | None:
        """What the validator finds; None for a value that JSON can't carry.

        All there are, or the first one of a large value: each of them costs far more than the value itself.
        """
        try:
            if not is_large(value):
                return list(self._validator.iter_errors(value))
            self._validator.validate(value)
        except ValidationError as first:
            return [first]
        except (ValueError, TypeError):
            return None
        return []

    def problems(self, value: Any) -> list[Problem]:
        """What keeps a JSON value from fitting; nothing when it fits."""
        return self.explained(self.violations(value))

    def explained(self, violations: list[ValidationError] | None) -> list[Problem]:
        """What :meth:`violations` found, in words."""
        if violations is None:
            return [Problem("", "contains a character or value that JSON can't carry (a lone surrogate, for example)")]
        document = self.document if isinstance(self.document, Mapping) else {}
        found = [problem for violation in violations for problem in from_schema(violation, document)]
        return list(dict.fromkeys(found))


def _refuse(uri: str) -> NoReturn:
    raise LookupError(uri)


def _why(error: Exception) -> str:
    """The fault of a schema in one line."""
    if "not present in a registry" in str(error):
        return "references to other documents are not followed; put the schema under $defs"
    if not isinstance(error, ValidationError):
        return clipped(str(error).split("\n", 1)[0], 200)
    message = clipped(error.message.split("\n", 1)[0], 200)
    place = path_of(error.instance_path)
    if place.endswith("pattern") and "regex" in message:
        message += " of the linear kind (no look-around, no back-references)"
    return f"{place}: {message}" if place else message


def _check_size(document: Any) -> None:
    """Bound what will be compiled (JSCH-07), without recursion."""
    nodes, level = 0, [document]
    for _ in range(DEEPEST):
        level = [child for node in level for child in _children(node)]
        nodes += len(level)
        if nodes > MOST_NODES:
            raise SchemaError(f"the schema has more than {MOST_NODES} parts")
        if not level:
            return
    raise SchemaError(f"the schema is nested more than {DEEPEST} deep")


def is_large(value: Any) -> bool:
    """Whether a JSON value consists of many; no more of it is looked at than that takes."""
    found, nodes = 0, [value]
    while nodes and found <= LARGE:
        node = nodes.pop()
        if isinstance(node, Mapping | list):
            found += len(node)
            nodes += node.values() if isinstance(node, Mapping) else node[: LARGE + 1]
    return found > LARGE


def _children(node: Any) -> list[Any]:
    values = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    return [value for value in values if isinstance(value, Mapping | list)]


# ── from Python types ────────────────────────────────────────────────────────────────────────────────────────────────


class _Generator(GenerateJsonSchema):
    """pydantic's schemas without the titles that only repeat a name: they cost the model tokens and tell it nothing."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # as the parent declares it

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def union_schema(self, schema: Any) -> JsonObject:
        """Every integer is a number: ``int | float`` is told as one type, which a client can make a field of."""
        document = super().union_schema(schema)
        options = document.get("anyOf", [])
        if _INTEGER not in options or _NUMBER not in options:
            return document
        rest = [option for option in options if option != _INTEGER]
        return {**document, "anyOf": rest} if len(rest) > 1 else rest[0]


def schema_of(adapter: TypeAdapter[Any], side: Side) -> JsonObject:
    """The JSON Schema of a type, with ``type`` at its root wherever one can be said.

    Raises: PydanticUserError and its kin when the type has none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a default without a JSON form is simply not shown
        document = adapter.json_schema(schema_generator=_Generator, mode=side)
    definitions = document.get("$defs", {})
    for name, definition in definitions.items():
        if definition.get("title") == name:
            del definition["title"]
    return resolved(document, document)  # for clients that look at the root's ``type``


def resolved(schema: JsonObject, document: JsonObject) -> JsonObject:
    """A part of a document with the reference at its root written out."""
    target = document.get("$defs", {}).get(str(schema.get("$ref", "")).removeprefix("#/$defs/"))
    if target is None:
        return schema
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}

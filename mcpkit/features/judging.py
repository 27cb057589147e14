"""What judges a JSON object that is not plainly right: a compiled schema, then the conversion to keyword arguments.

What must never stand here: the function, the short way past all this (arguments.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from mcpkit.features.coercion import coerce
from mcpkit.features.errors import BadArguments
from mcpkit.features.options import ArgumentOptions
from mcpkit.features.parameters import adapter_of, is_required
from mcpkit.features.problems import Problem, from_pydantic, is_long
from mcpkit.features.schema import Schema, SchemaError, schema_of
from mcpkit.features.signature import Signature
from mcpkit.jsonrpc.messages import JsonObject

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError as Violation

_LISTS: Final = frozenset({"list", "set", "frozenset", "tuple"})
"""Types of pydantic's core schemas that can end with the first item that doesn't fit."""
_DATA: Final = frozenset({"cls", "default", "expected", "metadata", "serialization"})
"""Members of core schemas that hold no schemas of what is accepted."""


class Judge:
    """The schema of one function's arguments, and what they become."""

    __slots__ = ("_adapter", "_convert", "_first", "schema")

    def __init__(self, signature: Signature, input_schema: JsonObject | None = None) -> None:
        """``input_schema`` is the author's own, published as it is; else the types give one.

        Raises: RegistrationError.
        """
        parameters = signature.parameters
        if input_schema is None:
            adapter = adapter_of(signature, parameters, ConfigDict(extra="forbid"))
            document = _published(adapter)
        else:
            config = ConfigDict(extra="allow" if signature.open else "ignore", arbitrary_types_allowed=True)
            adapter = adapter_of(signature, parameters, config)
            document = input_schema
            _check_fit(signature, document)
        self.schema = _compiled(signature, document)
        self._adapter = adapter
        self._first: SchemaValidator | None = None
        self._convert = adapter.validator.validate_python

    @property
    def document(self) -> JsonObject:
        """The schema to publish."""
        assert isinstance(self.schema.document, dict)
        return self.schema.document

    def bind(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a caller gave as keyword arguments.

        Raises: BadArguments.
        """
        if not self.schema.valid(arguments):
            violations = self.schema.violations(arguments)
            raise BadArguments(self.schema.explained(violations), violations or ())
        try:
            return self._convert(arguments)  # type: ignore[no-any-return]  # of the TypedDict's shape
        except ValidationError as error:
            raise BadArguments(self._explained(arguments, error)) from None

    def coerce(
        self, arguments: Mapping[str, Any], options: ArgumentOptions, violations: Sequence[Violation]
    ) -> tuple[Mapping[str, Any], list[str]] | None:
        """Arguments with those violations as keyword arguments once they are mended, and where they were, or None."""
        found = coerce(self.schema, arguments, options, violations)
        if found is None:
            return None
        try:
            return self._convert(found[0]), found[1]
        except ValidationError:
            return None

    def _explained(self, arguments: Mapping[str, Any], error: ValidationError) -> list[Problem]:
        """What keeps arguments from being converted; of very much only what is found first."""
        if is_long(error):
            if self._first is None:
                self._first = SchemaValidator(_ending_early(self._adapter.core_schema))
            try:
                self._first.validate_python(arguments)
            except ValidationError as first:
                return from_pydantic(first)
        return from_pydantic(error)


def _ending_early(schema: Any) -> Any:
    """The same core schema whose lists end with their first item that doesn't fit."""
    if isinstance(schema, list | tuple):
        return type(schema)(_ending_early(part) for part in schema)
    if not isinstance(schema, dict):
        return schema
    parts = {key: part if key in _DATA else _ending_early(part) for key, part in schema.items()}
    return {**parts, "fail_fast": True} if schema.get("type") in _LISTS else parts


def _published(adapter: TypeAdapter[Any]) -> JsonObject:
    """The schema as it is shown: root first, without what is empty."""
    document = schema_of(adapter, "validation")
    order = ("properties", "required", "additionalProperties", "$defs")
    return {"type": "object", **{key: document[key] for key in order if document.get(key) not in (None, {}, [])}}


def _compiled(signature: Signature, document: JsonObject) -> Schema:
    if document.get("type") != "object":
        raise signature.refuse('input_schema must be a JSON Schema with "type": "object" at its root')
    try:
        return Schema(document)
    except SchemaError as error:
        raise signature.refuse(f"its input schema is not usable: {error}") from None


def _check_fit(signature: Signature, document: JsonObject) -> None:
    """A closed schema must let in what the function needs.

    Raises: RegistrationError.
    """
    if document.get("additionalProperties", True) is not False or "patternProperties" in document:
        return
    for parameter in signature.parameters:
        if is_required(parameter) and parameter.name not in document.get("properties", {}):
            raise signature.refuse(
                f"parameter {parameter.name!r} has no property in input_schema: add it, or give it a default"
            )

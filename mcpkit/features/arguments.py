"""Arguments from JSON or from text: what is published of them, and the way to keyword arguments.

What a value must be checked for is settled when the function is offered; a call with plain types is a few look-ups.
What must never stand here: the function, its context, its result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from mcpkit.features.errors import BadArguments
from mcpkit.features.parameters import adapter_of, is_filled, is_required, plain_types
from mcpkit.features.problems import Problem, from_pydantic
from mcpkit.features.schema import Schema, SchemaError, resolved, schema_of
from mcpkit.features.signature import Signature
from mcpkit.jsonrpc.messages import JsonObject

Bind: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Turns what a caller gave into keyword arguments; raises BadArguments."""


class Arguments(Protocol):
    """The arguments of one function."""

    @property
    def bind(self) -> Bind:
        """What a caller gave → keyword arguments; raises BadArguments."""


class JsonArguments:
    """Arguments that arrive as a JSON object: their published schema, and :attr:`bind`."""

    __slots__ = ("_convert", "_needed", "_types", "bind", "schema")

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
        self._convert = adapter.validator.validate_python
        self._types = dict(plain_types(parameters))
        self._needed = frozenset(parameter.name for parameter in parameters if not is_filled(parameter))
        self.bind: Bind = self._quick if input_schema is None else self._checked

    @property
    def document(self) -> JsonObject:
        """The schema to publish."""
        assert isinstance(self.schema.document, dict)
        return self.schema.document

    def _quick(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Arguments that have plain types already are taken as they are; all others are looked at properly."""
        types = self._types
        for name in arguments:
            if name not in types or type(arguments[name]) not in types[name]:
                return self._checked(arguments)
        for name in self._needed:
            if name not in arguments:
                return self._checked(arguments)
        return arguments

    def _checked(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.schema.valid(arguments):
            arguments = self._mended(arguments)
        try:
            return self._convert(arguments)  # type: ignore[no-any-return]  # of the TypedDict's shape
        except ValidationError as error:
            raise BadArguments(from_pydantic(error)) from None

    def _mended(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Arguments that fit once what doesn't is unpacked from text.

        Raises: BadArguments.
        """
        problems = self.schema.problems(arguments)
        wrong = {problem.path for problem in problems}
        mended = {name: _unpacked(value) if name in wrong else value for name, value in arguments.items()}
        if not self.schema.valid(mended):
            raise BadArguments(problems)
        return mended


def _unpacked(value: Any) -> Any:
    """The object or array that a text holds as JSON: some models send the one in place of the other."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return from_json(value)
    except ValueError:
        return value


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


class TextArguments:
    """Arguments that arrive as texts (a prompt's, a URI's variables), converted one by one to the annotated types."""

    __slots__ = ("_converters", "properties", "required")

    def __init__(self, signature: Signature) -> None:
        """Raises: RegistrationError."""
        self.properties: dict[str, JsonObject] = {}
        """The schema of each argument, by the name that callers use."""
        self.required: set[str] = set()
        self._converters: dict[str, tuple[str, TypeAdapter[Any] | None]] = {}
        plain = {name for name, types in plain_types(signature.parameters) if str in types}
        for parameter in signature.parameters:
            adapter = adapter_of(signature, [parameter], ConfigDict(extra="forbid"))
            document = schema_of(adapter, "validation")
            [(name, schema)] = document["properties"].items()
            self.properties[name] = resolved(schema, document)
            if is_required(parameter):
                self.required.add(name)
            as_it_is = parameter.name in plain and (is_filled(parameter) or is_required(parameter))
            self._converters[name] = (parameter.name, None if as_it_is else adapter)

    def bind(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keyword arguments; names that the function doesn't know are ignored (PRMT-08).

        Raises: BadArguments.
        """
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, (keyword, adapter) in self._converters.items():
            if adapter is not None:
                try:
                    values.update(_converted(adapter, name, arguments))
                except ValidationError as error:
                    problems += from_pydantic(error)
            elif name in arguments:
                values[keyword] = arguments[name]
            elif name in self.required:
                problems.append(Problem(name, "is required but missing"))
        if problems:
            raise BadArguments(problems)
        return values


def _converted(adapter: TypeAdapter[Any], name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """One argument by its type: a text is read as that type writes itself, else as JSON."""
    if name not in arguments:
        return adapter.validate_python({})  # type: ignore[no-any-return]  # of the TypedDict's shape
    value = arguments[name]
    if not isinstance(value, str):
        return adapter.validate_python({name: value})  # type: ignore[no-any-return]  # as above
    try:
        return adapter.validate_strings({name: value})  # type: ignore[no-any-return]  # as above
    except ValidationError:
        if not value.lstrip().startswith(("[", "{")):
            raise
    try:
        parsed = from_json(value)
    except ValueError:
        parsed = value
    return adapter.validate_python({name: parsed})  # type: ignore[no-any-return]  # as above

"""Arguments from JSON or from text: what is published of them, and the way to keyword arguments.

What a value must be checked for is settled when the function is offered; a call with plain types is a few look-ups.
What must never stand here: the function, its context, its result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from mcpkit.features.errors import BadArguments
from mcpkit.features.options import MOST_UNPACKED, ArgumentOptions
from mcpkit.features.parameters import adapter_of, is_filled, is_required, plain_types
from mcpkit.features.plain import plain_document
from mcpkit.features.problems import Problem, from_pydantic
from mcpkit.features.signature import Signature
from mcpkit.jsonrpc.codec import Limits, load
from mcpkit.jsonrpc.errors import InvalidRequest, ParseError
from mcpkit.jsonrpc.messages import JsonObject

if TYPE_CHECKING:  # loaded for whoever needs them
    from jsonschema_rs import ValidationError as Violation
    from pydantic import TypeAdapter

    from mcpkit.features.judging import Judge

Bind: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Turns what a caller gave into keyword arguments; raises BadArguments."""


class Arguments(Protocol):
    """The arguments of one function."""

    @property
    def bind(self) -> Bind:
        """What a caller gave → keyword arguments; raises BadArguments."""


class JsonArguments:
    """Arguments that arrive as a JSON object: their published schema, and :attr:`bind`."""

    __slots__ = ("_judge", "_needed", "_signature", "_types", "bind", "document")

    def __init__(self, signature: Signature, input_schema: JsonObject | None = None) -> None:
        """``input_schema`` is the author's own, published as it is; else the types give one.

        Raises: RegistrationError.
        """
        parameters = signature.parameters
        self._signature = signature
        self._judge: Judge | None = None
        document = plain_document(parameters) if input_schema is None else None
        self.document: JsonObject = self._judged(input_schema).document if document is None else document
        """The schema to publish."""
        self._types = dict(plain_types(parameters))
        self._needed = frozenset(parameter.name for parameter in parameters if not is_filled(parameter))
        self.bind: Bind = self._quick if input_schema is None else self._checked

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
        return self._judged().bind(arguments)

    def coerce(
        self, arguments: Mapping[str, Any], options: ArgumentOptions, violations: Sequence[Violation]
    ) -> tuple[Mapping[str, Any], list[str]] | None:
        """Arguments that :attr:`bind` refused for these, mended, as keyword arguments; and where they were, or None."""
        return self._judged().coerce(arguments, options, violations)

    def _judged(self, input_schema: JsonObject | None = None) -> Judge:
        """What judges all that is not plainly right; where types are plain it is made when it is needed first."""
        if self._judge is None:
            from mcpkit.features.judging import Judge  # noqa: PLC0415 - see above

            self._judge = Judge(self._signature, input_schema)
        return self._judge


class TextArguments:
    """Arguments that arrive as texts (a prompt's, a URI's variables), converted one by one to the annotated types."""

    __slots__ = ("_converters", "properties", "required")

    def __init__(self, signature: Signature) -> None:
        """Raises: RegistrationError."""
        from pydantic import ConfigDict  # noqa: PLC0415 - see above

        from mcpkit.features.schema import resolved, schema_of  # noqa: PLC0415

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
        from pydantic import ValidationError  # noqa: PLC0415 - see above

        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, (keyword, adapter) in self._converters.items():
            if adapter is not None:
                try:
                    values.update(_converted(adapter, name, arguments))
                except ValidationError as error:
                    problems += from_pydantic(error)
                except InvalidRequest:
                    problems.append(Problem(name, f"holds more than {MOST_UNPACKED} values; send fewer at a time"))
            elif name in arguments:
                values[keyword] = arguments[name]
            elif name in self.required:
                problems.append(Problem(name, "is required but missing"))
        if problems:
            raise BadArguments(problems)
        return values


def _converted(adapter: TypeAdapter[Any], name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """One argument by its type: a text is read as that type writes itself, else as JSON.

    Raises: ValidationError; InvalidRequest for JSON of too many values.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - see above

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
        parsed = load(value.encode(), Limits(values=MOST_UNPACKED))
    except (ParseError, ValueError):
        parsed = value
    return adapter.validate_python({name: parsed})  # type: ignore[no-any-return]  # as above

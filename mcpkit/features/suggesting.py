"""Suggestions for one argument: from its type, from a list, or from its author's function (COMP-03).

What must never stand here: whose argument it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcpkit.features.binding import Bound, MakeContext
from mcpkit.features.errors import BadReturn, RegistrationError
from mcpkit.features.json_values import fault_of
from mcpkit.features.signature import read_signature
from mcpkit.features.suggestions import did_you_mean
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange

MOST_VALUES: Final = 100
"""Values that one answer may hold."""


@dataclass(frozen=True, slots=True)
class Completion:
    """An author's whole answer, for when a list of values can't say how many more there are."""

    values: Sequence[str]
    total: int | None = None
    has_more: bool | None = None


class Source:
    """What suggests values: a list, filtered by what is typed, or a function."""

    __slots__ = ("_asker", "_values")

    def __init__(self, values: Sequence[str] = (), asker: Asker | None = None) -> None:
        self._values = values
        self._asker = asker

    @property
    def explicit(self) -> bool:
        """Whether an author wrote it as a function."""
        return self._asker is not None

    @property
    def function(self) -> Callable[..., Any] | None:
        """The author's function, if that is what suggests."""
        return self._asker.function if self._asker is not None else None

    async def suggest(
        self, typed: str, others: Mapping[str, str], exchange: Exchange, make_context: MakeContext
    ) -> JsonObject:
        """The ``completion`` object. Raises: whatever the author's function raises; BadReturn."""
        if self._asker is not None:
            return completion_of(await self._asker.ask((typed, dict(others)), exchange, make_context)) or completion_of(
                ()
            )
        return completion_of(matching(typed, self._values))


class Asker:
    """A function that suggests: it takes as many of the offered values as it has parameters, and the context."""

    __slots__ = ("_bound", "_names", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        """Raises: RegistrationError."""
        self.function = function
        signature = read_signature(function, schema_given=True)
        self._names = tuple(parameter.name for parameter in signature.parameters)
        self._bound = Bound(function, signature, _AsTheyAre())

    async def ask(self, offered: Sequence[Any], exchange: Exchange, make_context: MakeContext) -> Any:
        """Call it with the first of the ``offered`` values."""
        arguments = dict(zip(self._names, offered, strict=False))
        return await self._bound.call(arguments, exchange, make_context)


class _AsTheyAre:
    def bind(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return arguments


def sources_of(given: Mapping[str, Any], properties: Mapping[str, JsonObject], where: str) -> dict[str, Source]:
    """A source for every argument that has one: the author's, else what the type allows.

    Raises: RegistrationError for an argument that does not exist.
    """
    sources = {name: Source(values) for name, schema in properties.items() if (values := _allowed(schema))}
    for name, wanted in given.items():
        if name not in properties:
            hint = did_you_mean(name, properties)
            raise RegistrationError(f"{where}: completions name {name!r}, which is no argument{hint}")
        sources[name] = Source(asker=Asker(wanted)) if callable(wanted) else Source([str(value) for value in wanted])
    return sources


def matching(typed: str, values: Iterable[str]) -> list[str]:
    """The values that begin with what is typed, then those that contain it; case does not matter."""
    typed = typed.casefold()
    found = [value for value in values if typed in value.casefold()]
    return sorted(found, key=lambda value: not value.casefold().startswith(typed))


def completion_of(answer: Any) -> JsonObject:
    """An author's answer as the ``completion`` object; ``{}`` for None (COMP-03).

    Raises: BadReturn.
    """
    if answer is None:
        return {}
    if isinstance(answer, str | bytes | Mapping) or not isinstance(answer, Completion | Iterable):
        raise fault_of(answer) or BadReturn("a completion function returns a list of strings or a Completion")
    whole = answer if isinstance(answer, Completion) else Completion([str(value) for value in answer])
    values = [str(value) for value in whole.values]
    total = len(values) if whole.total is None else whole.total
    has_more = total > MOST_VALUES or len(values) > MOST_VALUES if whole.has_more is None else whole.has_more
    return {"values": values[:MOST_VALUES], "total": total, "hasMore": has_more}


def _allowed(schema: JsonObject) -> list[str]:
    """The values that a schema lists."""
    if "enum" in schema:
        return [_text(value) for value in schema["enum"] if value is not None]
    if "const" in schema:
        return [_text(schema["const"])]
    if schema.get("type") == "boolean":
        return ["true", "false"]
    return [value for option in schema.get("anyOf", ()) for value in _allowed(option)]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

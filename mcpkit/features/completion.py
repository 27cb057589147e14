"""Completion: values for a prompt's argument or a template's variable, while the user types (COMP-01…05).

What must never stand here: where values come from (suggesting.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.features.binding import MakeContext
from mcpkit.features.failures import ErrorPolicy
from mcpkit.features.prompts import Prompt, Prompts, texts_of
from mcpkit.features.resources import Resource, Resources
from mcpkit.features.running import within
from mcpkit.features.suggesting import Asker, Source, completion_of
from mcpkit.features.suggestions import clipped, did_you_mean
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, RpcError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange

logger = logging.getLogger("mcpkit.completion")

TIMEOUT: Final = 10.0
"""Seconds that suggestions may take: the user is typing."""
_NOTHING: Final = Source()


@dataclass(frozen=True, slots=True)
class Reference:
    """What an argument belongs to: ``ref/prompt`` with a name, or ``ref/resource`` with a URI or template."""

    type: str
    name: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True)
class Argument:
    """The argument that is being typed, and what is typed so far."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class CompletionContext:
    """The arguments that are chosen already."""

    arguments: Mapping[str, str] = field(default_factory=dict)


class Completions:
    """The method that completes, over the prompts and resources of one server."""

    def __init__(
        self,
        prompts: Prompts,
        resources: Resources,
        make_context: MakeContext,
        *,
        errors: ErrorPolicy | None = None,
    ) -> None:
        self._errors = errors or ErrorPolicy()
        self._prompts = prompts
        self._resources = resources
        self._make_context = make_context
        self._fallback: Asker | None = None

    @property
    def fallback(self) -> Callable[..., Any] | None:
        """Answers what no argument's own function answers: ``(ref, argument, context) -> values or None``.

        None from it leaves the answer to the argument's type.
        """
        return self._fallback.function if self._fallback else None

    @fallback.setter
    def fallback(self, function: Callable[..., Any] | None) -> None:
        self._fallback = Asker(function) if function else None

    async def complete(self, exchange: Exchange) -> JsonObject:
        """``completion/complete`` (COMP-02…05).

        Raises: InvalidParams, InsufficientScope, InternalError.
        """
        reference = _reference(exchange.params.get("ref"))
        argument = _argument(exchange.params.get("argument"))
        context = exchange.params.get("context")
        chosen = texts_of(context.get("arguments") if isinstance(context, dict) else None, "context.arguments")
        feature, names = self._owner(exchange, reference)
        if argument.name not in names:
            hint = did_you_mean(argument.name, names)
            raise InvalidParams(f"{feature.key} has no argument {clipped(argument.name)!r}{hint}")
        feature.admits(exchange)
        source = feature.sources.get(argument.name, _NOTHING)
        asked = (reference, argument, CompletionContext(chosen))
        name = f"completion of {argument.name}"
        try:
            return {"completion": await within(TIMEOUT, self._values(source, asked, exchange), name)}
        except RpcError:
            raise
        except Exception as error:
            function = source.function or self.fallback
            raise InternalError(self._errors.text(name, function, error, logger)) from None

    async def _values(
        self, source: Source, asked: tuple[Reference, Argument, CompletionContext], exchange: Exchange
    ) -> JsonObject:
        if self._fallback is not None and not source.explicit:
            answer = completion_of(await self._fallback.ask(asked, exchange, self._make_context))
            if answer:
                return answer
        _, argument, context = asked
        return await source.suggest(argument.value, context.arguments, exchange, self._make_context)

    def _owner(self, exchange: Exchange, reference: Reference) -> tuple[Prompt | Resource, tuple[str, ...]]:
        """Whose argument it is, and the arguments there are.

        Raises: InvalidParams.
        """
        if reference.type == "ref/prompt":
            prompt = self._prompts.seen(exchange, reference.name)
            return prompt, prompt.argument_names
        resource = self._resources.template_for(exchange, reference.uri or "")
        if resource is None:
            raise InvalidParams("ref.uri is no resource or template; resources/templates/list names what there is")
        return resource, resource.template.variables if resource.template else ()


def _reference(ref: Any) -> Reference:
    kind = ref.get("type") if isinstance(ref, dict) else None
    if kind == "ref/prompt" and isinstance(ref.get("name"), str):
        return Reference(kind, name=ref["name"])
    if kind == "ref/resource" and isinstance(ref.get("uri"), str):
        return Reference(kind, uri=ref["uri"])
    raise InvalidParams('ref must be {"type": "ref/prompt", "name": …} or {"type": "ref/resource", "uri": …}')


def _argument(argument: Any) -> Argument:
    if isinstance(argument, dict) and isinstance(argument.get("name"), str) and isinstance(argument.get("value"), str):
        return Argument(argument["name"], argument["value"])
    raise InvalidParams('argument must be {"name": …, "value": what is typed so far}')

"""Prompts: templates of messages that users choose (spec server/prompts; PRMT-01…09).

What must never stand here: what a message is made of (messages.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Unpack

from mcpkit.features import option_values
from mcpkit.features.binding import MakeContext, bind_text
from mcpkit.features.errors import BadArguments, RegistrationError
from mcpkit.features.failures import ErrorPolicy
from mcpkit.features.feature import DEFAULT_TIMEOUT, Feature
from mcpkit.features.messages import prompt_result
from mcpkit.features.options import PromptOptions, warn_of_length
from mcpkit.features.registry import LIST_TTL_MS, PAGE_SIZE, Registry
from mcpkit.features.running import within
from mcpkit.features.suggesting import Source, sources_of
from mcpkit.features.suggestions import clipped, unknown
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, RpcError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange

logger = logging.getLogger("mcpkit.prompts")


class Prompt(Feature):
    """A function that writes messages, with its options; once offered, the handle to change it."""

    what = "prompt"
    known_options = frozenset(PromptOptions.__annotations__)
    option_checks = option_values.PROMPT
    sources: Mapping[str, Source]
    """What suggests values for the arguments."""
    argument_names: tuple[str, ...]

    def __init__(self, function: Callable[..., Any], options: PromptOptions | None = None) -> None:
        """Raises: RegistrationError."""
        super().__init__(function, options or {})

    @property
    def description(self) -> str | None:
        """What it is for."""
        description: str | None = self.wire.get("description")
        return description

    def _build(self) -> None:
        options = self.options
        self.bound, arguments = bind_text(self.function, inline=options.get("inline", False))
        self.key = options.get("name") or self.bound.signature.name
        if not self.key.isprintable() or not 0 < len(self.key) <= 128 or self.key == "<lambda>":
            raise RegistrationError(f"{self.key!r} ({self.where}) is no name for a prompt: give name='a_name'")
        warn_of_length("prompt", self.key, self.where)
        self.argument_names = tuple(arguments.properties)
        self.sources = sources_of(options.get("completions", {}), arguments.properties, self.where)
        entries = [_argument(name, schema, arguments.required) for name, schema in arguments.properties.items()]
        self.wire = self.entry(self.key, arguments=entries or None)


def _argument(name: str, schema: JsonObject, required: Collection[str]) -> JsonObject:
    said: JsonObject = {member: schema[member] for member in ("title", "description") if member in schema}
    return {"name": name, **said, "required": name in required}


class Prompts:
    """The prompts of one server, and the two methods that offer them."""

    def __init__(
        self,
        make_context: MakeContext,
        *,
        page_size: int = PAGE_SIZE,
        timeout: float = DEFAULT_TIMEOUT,
        ttl_ms: int = LIST_TTL_MS,
        changed: Callable[[], None] = lambda: None,
        errors: ErrorPolicy | None = None,
    ) -> None:
        """``timeout`` (seconds, 0: none) holds for those that name none; ``changed`` is called after every change."""
        self._make_context = make_context
        self._errors = errors or ErrorPolicy()
        self._timeout = timeout
        self._prompts: Registry[Prompt] = Registry("prompts", changed, page_size=page_size, ttl_ms=ttl_ms)
        self.find = self._prompts.find
        """The prompt with that name, disabled or not, or None."""
        self.page_key = self._prompts.page_key
        """What a page of the list depends on, for a cache; None when it depends on the caller."""

    def add(self, function: Callable[..., Any] | Prompt, **options: Unpack[PromptOptions]) -> Prompt:
        """Offer a function, or a ready prompt, and get its handle.

        Raises: RegistrationError, with file, line and the fix.
        """
        if isinstance(function, Prompt):
            if options:
                raise RegistrationError(f"prompt {function.key!r} is made already: give it its options when making it")
            return self._prompts.add(function)
        return self._prompts.add(Prompt(function, options))

    def __iter__(self) -> Iterator[Prompt]:
        """The offered prompts, by name."""
        return iter(self._prompts)

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def uniform(self) -> bool:
        """Everybody sees the same prompts."""
        return self._prompts.uniform

    def seen(self, exchange: Exchange, name: Any) -> Prompt:
        """The prompt of that name, as far as it exists for this caller.

        Raises: InvalidParams, with a near name.
        """
        if not isinstance(name, str):
            raise InvalidParams("name must be the name of a prompt; prompts/list names what there is")
        prompt = self._prompts.offered.get(name)
        if prompt is None or not prompt.seen_by(exchange):
            raise InvalidParams(unknown("prompt", name, self._prompts.keys_for(exchange), "prompts/list"))
        return prompt

    async def list(self, exchange: Exchange) -> JsonObject:
        """``prompts/list`` (PRMT-01). Raises: InvalidParams for a bad cursor."""
        return self._prompts.page(exchange)

    async def get(self, exchange: Exchange) -> JsonObject:
        """``prompts/get`` (PRMT-02, PRMT-03, PRMT-08).

        Raises: InvalidParams, InsufficientScope, InternalError, and the RpcErrors that a prompt raises itself.
        """
        prompt = self.seen(exchange, exchange.params.get("name"))
        given = texts_of(exchange.params.get("arguments"), "arguments")
        prompt.admits(exchange)
        try:
            arguments = prompt.bound.bind(given)
        except BadArguments as error:
            raise InvalidParams(f"Invalid arguments for {prompt.key}: {error}") from None
        seconds = self._timeout if prompt.timeout is None else prompt.timeout
        try:
            value = await within(seconds, prompt.work(arguments, exchange, self._make_context), prompt.key)
            return prompt_result(value, prompt.description)
        except RpcError:
            raise
        except Exception as error:
            raise InternalError(self._errors.text(prompt.key, prompt.function, error, logger)) from None


def texts_of(value: Any, what: str) -> dict[str, str]:
    """An object of strings; an absent one is empty.

    Raises: InvalidParams.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidParams(f"{what} must be an object of names and strings")
    for name, text in value.items():
        if not isinstance(text, str):
            raise InvalidParams(f"{what}.{clipped(name)} must be a string")
    return value

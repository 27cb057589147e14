"""A function made callable from JSON: its arguments bound, its context and injections given, run where it belongs.

Everything about the function is decided when it is bound; a call decides nothing. What must never stand here:
schemas (schema.py), what becomes of the returned value (returns.py).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import CoroutineType
from typing import Any, TypeAlias

from mcpkit.features.arguments import Arguments, Bind, JsonArguments, TextArguments
from mcpkit.features.running import WORKERS, Workers
from mcpkit.features.signature import EMPTY, Given, Injection, Signature, read_signature
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import BEGUN, Exchange

__all__ = ["Bound", "Injection", "MakeContext", "bind_json", "bind_text"]

MakeContext: TypeAlias = Callable[[Exchange], Any]
"""Makes the context object that functions ask for."""


class Bound:
    """A function, its signature, and how it is called."""

    __slots__ = ("_defaults", "_given", "_inline", "_plain", "_workers", "bind", "function", "signature")

    def __init__(
        self,
        function: Callable[..., Any],
        signature: Signature,
        arguments: Arguments,
        *,
        inline: bool = False,
        workers: Workers = WORKERS,
    ) -> None:
        """``inline``: a sync function is called in the event loop, not in a thread (for code that never blocks)."""
        self.function = function
        self.signature = signature
        self.bind: Bind = arguments.bind
        self._defaults = {p.name: p.default for p in signature.parameters if p.default is not EMPTY}
        self._given = signature.context is not None or bool(signature.injections)
        self._plain = signature.is_async and not self._given
        self._inline = inline
        self._workers = workers

    def call(
        self, arguments: Mapping[str, Any], exchange: Exchange, make_context: MakeContext
    ) -> Coroutine[Any, Any, Any]:
        """The call with bound ``arguments``, to be awaited. Raises, then: whatever the function raises."""
        if self._plain and BEGUN not in exchange.state:
            return self.function(**arguments)  # type: ignore[no-any-return]  # its own coroutine, without ours around it
        return self._called(arguments, exchange, make_context) if self._given else self._run(arguments, exchange)

    async def _called(self, arguments: Mapping[str, Any], exchange: Exchange, make_context: MakeContext) -> Any:
        context = make_context(exchange)
        if self.signature.context is not None:
            arguments = {**arguments, self.signature.context: context}
        if not self.signature.injections:
            return await self._run(arguments, exchange)
        async with AsyncExitStack() as cleanup:
            filled = await self._filled(Given(context, {**self._defaults, **arguments}, cleanup))
            return await self._run({**arguments, **filled}, exchange)
        raise RuntimeError("a Resolve function caught the error of its call after its yield: let it raise that again")

    async def _filled(self, given: Given) -> Mapping[str, Any]:
        """What injections give; they are resolved in their order (they may ask)."""
        return {name: await injection.resolve(name, given) for name, injection in self.signature.injections}

    async def _run(self, arguments: Mapping[str, Any], exchange: Exchange) -> Any:
        if BEGUN in exchange.state:
            await exchange.state[BEGUN]()
        if self.signature.is_async:
            return await self.function(**arguments)
        if self._inline:
            value = self.function(**arguments)
        else:
            value = await self._workers.run(partial(self.function, **arguments))
        return await value if type(value) is CoroutineType else value


def bind_json(
    function: Callable[..., Any], *, input_schema: JsonObject | None = None, inline: bool = False
) -> tuple[Bound, JsonArguments]:
    """Bind a function whose arguments come as a JSON object.

    Raises: RegistrationError.
    """
    signature = read_signature(function, schema_given=input_schema is not None)
    arguments = JsonArguments(signature, input_schema)
    return Bound(function, signature, arguments, inline=inline), arguments


def bind_text(function: Callable[..., Any], *, inline: bool = False) -> tuple[Bound, TextArguments]:
    """Bind a function whose arguments come as texts.

    Raises: RegistrationError.
    """
    signature = read_signature(function)
    arguments = TextArguments(signature)
    return Bound(function, signature, arguments, inline=inline), arguments

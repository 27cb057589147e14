"""Parameters that a function of the server's fills: what FastAPI calls a dependency, and the declarative way to ask.

    @server.tool
    def order(dish: str, qty: Annotated[int, Resolve(ask_quantity)], db: Annotated[Any, Resolve(opened)]) -> str: ...

What must never stand here: how a question travels (asking.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from mcpkit.features.asking import ask
from mcpkit.features.errors import ToolError
from mcpkit.features.questions import Elicit, ElicitUrl, ListRoots, Sample
from mcpkit.features.running import WORKERS
from mcpkit.features.signature import (
    EMPTY,
    Given,
    Injection,
    Signature,
    annotations_of,
    injection_of,
    is_context,
    name_of,
)

QUESTIONS = (Elicit, ElicitUrl, Sample, ListRoots)


class Resolve(Injection):
    """Fill a parameter with what ``function`` returns; when that is a question, with the client's answer to it.

    ``function`` is sync (then it runs in a thread) or async. It may take the context, arguments of the tool by their
    names, and parameters with a ``Resolve`` of their own; it is called once per call, however many ask for it. One
    that yields its value goes on when the call is over, to clean up. An accepted form yields its value, a declined one
    ends the call with a tool error, unless ``outcome`` asks for the whole
    :class:`~mcpkit.features.questions.Elicitation`. Raises: RegistrationError.
    """

    def __init__(self, function: Callable[..., Any], *, outcome: bool = False) -> None:
        self._function = function
        self._outcome = outcome
        self._parameters = inspect.signature(function).parameters.values()
        self._types: Mapping[str, Any] = annotations_of(function.__init__ if inspect.isclass(function) else function)
        filled = {each.name: injection_of(each, self._types.get(each.name)) for each in self._parameters}
        self._filled = {name: injection for name, injection in filled.items() if injection is not None}

    def check(self, owner: Signature) -> None:
        """Whether everything that the function takes can be given.

        Raises: RegistrationError.
        """
        taken = {parameter.name for parameter in owner.parameters}
        for injection in self._filled.values():
            injection.check(owner)
        for parameter in self._parameters:
            name = parameter.name
            if name in self._filled or name in taken or self._is_context(parameter) or parameter.default is not EMPTY:
                continue
            raise owner.refuse(
                f"{name_of(self._function)} can't be given {name!r}: let it take arguments of {owner.name} by their "
                "names, a Context, or parameters with a Resolve of their own"
            )

    async def resolve(self, name: str, given: Given) -> Any:
        """The parameter's value.

        Raises: ToolError when the user declined; and as asking does.
        """
        if self._function not in given.known:
            given.known[self._function] = await self._found(name, given)
        value, answer = given.known[self._function]
        if value is None or self._outcome or not isinstance(value, Elicit | ElicitUrl):
            return answer
        if not answer:
            raise ToolError(f"the user chose to {answer.action}: {value.message}")
        return answer.data

    async def _found(self, name: str, given: Given) -> tuple[Any, Any]:
        """The question and its answer, or None and the value."""
        value = await self._called(await self._arguments(name, given), given)
        if not isinstance(value, QUESTIONS):
            return None, value
        return value, await ask(given.context.exchange, value, name)

    async def _arguments(self, name: str, given: Given) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for parameter in self._parameters:
            own = parameter.name
            if own in self._filled:
                arguments[own] = await self._filled[own].resolve(f"{name}.{own}", given)
            elif is_context(self._types.get(own)):
                arguments[own] = given.context
            elif own in given.arguments:
                arguments[own] = given.arguments[own]
            elif self._is_context(parameter):
                arguments[own] = given.context
        return arguments

    def _is_context(self, parameter: inspect.Parameter) -> bool:
        """It says so, or it is the only one and says nothing."""
        kind = self._types.get(parameter.name)
        return is_context(kind) or (kind is None and len(self._parameters) == 1 and parameter.default is EMPTY)

    async def _called(self, arguments: dict[str, Any], given: Given) -> Any:
        function = self._function
        if inspect.isasyncgenfunction(function):
            return await given.cleanup.enter_async_context(asynccontextmanager(function)(**arguments))
        if inspect.isgeneratorfunction(function):
            return await given.cleanup.enter_async_context(_in_threads(contextmanager(function)(**arguments)))
        if inspect.iscoroutinefunction(function):
            return await function(**arguments)
        value = await WORKERS.run(partial(function, **arguments))
        return await value if inspect.isawaitable(value) else value


@asynccontextmanager
async def _in_threads(opened: Any) -> Any:
    """A context manager that may block, on both of its ends."""
    value = await WORKERS.run(opened.__enter__)
    try:
        yield value
    except BaseException as error:
        if not await WORKERS.run(partial(opened.__exit__, type(error), error, error.__traceback__)):
            raise
    else:
        await WORKERS.run(partial(opened.__exit__, None, None, None))

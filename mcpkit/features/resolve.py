"""The declarative way to ask: a parameter whose value comes from a function, which may ask the client for it.

    @server.tool
    def order(qty: Annotated[int, Resolve(ask_quantity)]) -> str: ...

What must never stand here: how a question travels (asking.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from mcpkit.features.asking import ask, settled
from mcpkit.features.binding import Injection
from mcpkit.features.context import Context
from mcpkit.features.errors import ToolError
from mcpkit.features.questions import Elicit, ElicitUrl, ListRoots, Sample

QUESTIONS = (Elicit, ElicitUrl, Sample, ListRoots)


class Resolve(Injection):
    """Fill a parameter with what ``function`` returns; when that is a question, with the client's answer to it.

    ``function`` takes the context or nothing, sync or async. An accepted form yields its value, a declined one ends
    the call with a tool error, unless ``outcome`` asks for the whole :class:`~mcpkit.features.questions.Elicitation`.
    """

    def __init__(self, function: Callable[..., Any], *, outcome: bool = False) -> None:
        self._function = function
        self._outcome = outcome
        self._wants_context = bool(inspect.signature(function).parameters)

    async def resolve(self, context: Any) -> Any:
        """The parameter's value.

        Raises: ToolError when the user declined; and as asking does.
        """
        assert isinstance(context, Context)
        value = await settled(self._function(context) if self._wants_context else self._function())
        if not isinstance(value, QUESTIONS):
            return value
        answer = await ask(context.exchange, value, getattr(self._function, "__name__", None))
        if self._outcome or not isinstance(value, Elicit | ElicitUrl):
            return answer
        if not answer:
            raise ToolError(f"the user chose to {answer.action}: {value.message}")
        return answer.data

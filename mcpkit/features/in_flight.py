"""Calls in flight: how many run in one process, and how many of them for one caller.

What must never stand here: a method, a function that is called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from mcpkit.features.errors import Overloaded
from mcpkit.jsonrpc.messages import Result
from mcpkit.limits import WHOLE, Bound, Shares
from mcpkit.protocol.exchange import Exchange

Handler: TypeAlias = Callable[[Exchange], Awaitable[Result]]

MOST_CALLS: Final = 2000
"""Calls in flight in one process where nobody said otherwise."""


class OverloadBound(Bound):
    """A bound whose refusal is the answer to a request."""

    __slots__ = ()

    def refusal(self, message: str, *, of_caller: bool = False) -> Exception:
        """An error for the caller."""
        return Overloaded(message, of_caller=of_caller)


class CallsInFlight(Shares):
    """Counts calls of functions that a program offers, from :meth:`take`, which may raise Overloaded, to :meth:`give`.

    Calls of tools, reads of resources, prompts, completions, and methods that the program registers.
    """

    __slots__ = ("_set_here",)

    def __init__(self, most: int | None = None) -> None:
        """At most ``most`` at once; None leaves that to the settings."""
        self._set_here = most is not None
        super().__init__(_bound(MOST_CALLS if most is None else most, WHOLE))

    def limit(self, most: int, share: int) -> None:
        """Set what the settings say: ``most`` where the program said nothing, one caller's ``share`` in per cent."""
        self.bound = _bound(self.bound.most if self._set_here else most, share)

    def counted(self, handler: Handler) -> Handler:
        """The same handler, for a method whose calls count."""

        async def serve(exchange: Exchange) -> Result:
            caller = exchange.caller
            self.take(caller)
            try:
                return await handler(exchange)
            finally:
                self.give(caller)

        return serve


def _bound(most: int, share: int) -> Bound:
    return OverloadBound("calls in flight", "MCP_MAX_CALLS", most, share)

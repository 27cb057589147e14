"""A request that we sent to the client, and the handler that waits for its answer: the same over every transport.

What must never stand here: how the request travels, how long it is waited for.
"""

from __future__ import annotations

import asyncio

from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.jsonrpc.messages import JsonObject


class Question:
    """What the peer resolves or rejects, and the handler awaits as :attr:`answer`."""

    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()

    def resolve(self, result: JsonObject) -> None:
        """The answer has come."""
        if not self.answer.done():
            self.answer.set_result(result)

    def reject(self, error: McpKitError) -> None:
        """No answer will come."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def drop(self) -> None:
        """Nobody waits any more."""
        if not self.answer.cancel() and not self.answer.cancelled():
            self.answer.exception()  # seen, so that the event loop doesn't report it as forgotten

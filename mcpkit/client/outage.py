"""A server that is away for long, for whoever wants to hear of its changes: tried on and on, logged once.

What must never stand here: calls (who calls is told at once), how often a single connection is tried.
"""

from __future__ import annotations

import asyncio

from mcpkit.client.background import log
from mcpkit.client.errors import ClientError
from mcpkit.client.limits import Patience


class Outage:
    """One time of being away, if it comes to that; ``name`` is the server's."""

    def __init__(self, name: str, patience: Patience) -> None:
        self._name = name
        self._pause = patience.pauses.most
        self.began = False

    async def waited_out(self, error: ClientError) -> bool:
        """Wait a while; False when waiting does not help, so that somebody must do something."""
        if not error.retryable:
            log.warning("changes at %s are heard of no longer, list again to see them: %s", self._name, error)
            return False
        if not self.began:
            log.warning("%s is away, and tried every %g seconds (%s)", self._name, self._pause, error)
        self.began = True
        await asyncio.sleep(self._pause)
        return True

    def over(self) -> None:
        """The server is back."""
        if self.began:
            log.info("%s is back", self._name)
        self.began = False

"""How long a caller may stay: a stream ends when the credentials that opened it do (TOK-09).

To whatever serves it, the caller then has gone. What must never stand here: how credentials are checked.
"""

from __future__ import annotations

import asyncio
from time import time

from mcpkit.security.principal import Principal
from mcpkit.transports.asgi import Event, Receive

GONE = "http.disconnect"


def leave_seconds(principal: Principal, most: float | None) -> float | None:
    """How long this caller's streams may last: until the credentials end, and at most ``most`` seconds."""
    if principal.expires is None:
        return most
    left = max(0.0, principal.expires - time())
    return left if most is None else min(left, most)


class Leave:
    """An ASGI ``receive`` that reports the client gone after a time."""

    __slots__ = ("_loop", "_receive", "_until")

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + seconds

    async def __call__(self) -> Event:
        """The next event of the request, or that its time is over."""
        left = self._until - self._loop.time()
        if left <= 0:
            return {"type": GONE}
        try:
            async with asyncio.timeout(left):
                return await self._receive()
        except TimeoutError:
            return {"type": GONE}

"""A deadline that can be stopped like a clock: while a user signs in, nobody's call runs out of time.

Works as ``asyncio.timeout`` does, nested too. What must never stand here: how long anything may take (limits.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

_running: Final[ContextVar[tuple[asyncio.Timeout, ...]]] = ContextVar("mcpkit_deadlines", default=())


class Deadline:
    """``async with Deadline(when):`` raises TimeoutError at that moment of the loop's clock; never where None."""

    __slots__ = ("_timeout", "_token")

    def __init__(self, when: float | None) -> None:
        self._timeout = asyncio.timeout_at(when)
        self._token: Token[tuple[asyncio.Timeout, ...]]

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """That many seconds from now."""
        return cls(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    async def __aenter__(self) -> asyncio.Timeout:
        timeout = await self._timeout.__aenter__()
        self._token = _running.set((*_running.get(), timeout))
        return timeout

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _running.reset(self._token)
        await self._timeout.__aexit__(kind, error, trace)


@contextmanager
def paused() -> Iterator[None]:
    """Within, no deadline of the current call runs; afterwards each has as much time left as before."""
    loop = asyncio.get_running_loop()
    left = [(timeout, when - loop.time()) for timeout in _running.get() if (when := timeout.when()) is not None]
    for timeout, _ in left:
        timeout.reschedule(None)
    try:
        yield
    finally:
        for timeout, seconds in left:
            timeout.reschedule(loop.time() + max(0.0, seconds))

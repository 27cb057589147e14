"""A deadline that can be stopped like a clock: while a user signs in, nobody's call runs out of time.

Works as ``asyncio.timeout`` does, nested too. What must never stand here: how long anything may take (limits.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, Token, copy_context
from types import TracebackType
from typing import Final

_running: Final[ContextVar[tuple[Deadline, ...]]] = ContextVar("mcpkit_deadlines", default=())


class Deadline:
    """``async with Deadline(when):`` raises TimeoutError at that moment of the loop's clock; never where None."""

    __slots__ = ("_over", "_timeout", "_token")

    def __init__(self, when: float | None) -> None:
        self._timeout = asyncio.timeout_at(when)
        self._over = False
        self._token: Token[tuple[Deadline, ...]]

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """That many seconds from now."""
        return cls(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    async def __aenter__(self) -> asyncio.Timeout:
        timeout = await self._timeout.__aenter__()
        self._token = _running.set((*_running.get(), self))
        return timeout

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _running.reset(self._token)
        self._over = True
        await self._timeout.__aexit__(kind, error, trace)

    @property
    def left(self) -> float | None:
        """Seconds until it passes; None where it never does, or is over: a task inherits those of who started it."""
        when = self._timeout.when()
        if when is None or self._over or self._timeout.expired():
            return None
        return when - asyncio.get_running_loop().time()

    def move(self, seconds: float | None) -> None:
        """Let it pass that many seconds from now; never where None."""
        if not self._over and not self._timeout.expired():
            self._timeout.reschedule(None if seconds is None else asyncio.get_running_loop().time() + max(0.0, seconds))


@contextmanager
def paused() -> Iterator[None]:
    """Within, no deadline of the current call runs; afterwards each has as much time left as before."""
    stopped = [(deadline, left) for deadline in _running.get() if (left := deadline.left) is not None]
    for deadline, _ in stopped:
        deadline.move(None)
    try:
        yield
    finally:
        for deadline, left in stopped:
            deadline.move(left)


def without_deadlines() -> Context:
    """The current context for work in the background, which outlives the call that starts it."""
    context = copy_context()
    context.run(_running.set, ())
    return context

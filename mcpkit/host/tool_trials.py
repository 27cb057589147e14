"""Which tools an endpoint refuses, found by trials where its refusal does not say: the halves of what was refused.

What must never stand here: how a trial is made, what follows from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from mcpkit.host.model import ToolOffer

MOST_TRIALS: Final = 64
Takes: TypeAlias = Callable[[Sequence[ToolOffer]], Awaitable[bool]]
"""Whether the endpoint takes a request with these tools."""


class Trials:
    """One search; ``most`` bounds the requests that it costs."""

    def __init__(self, takes: Takes, most: int = MOST_TRIALS) -> None:
        self._takes = takes
        self._left = most

    async def refused(self, tools: Sequence[ToolOffer]) -> list[str]:
        """The names of the tools that are refused; none where the endpoint refuses something else.

        Where the trials are used up, what was refused together is refused. Raises: ModelError.
        """
        if await self._try(tools) or not await self._try(()):
            return []
        return [tool.name for tool in await self._among(list(tools))]

    async def _among(self, tools: list[ToolOffer]) -> list[ToolOffer]:
        """Those of some tools that are refused, which all together are."""
        if len(tools) == 1 or self._left < 2:
            return tools
        middle = len(tools) // 2
        found = []
        for half in (tools[:middle], tools[middle:]):
            if not await self._try(half):
                found += await self._among(half)
        return found

    async def _try(self, tools: Sequence[ToolOffer]) -> bool:
        self._left -= 1
        return await self._takes(tools)

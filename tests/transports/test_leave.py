"""A stream's time: as long as the credentials, and no longer than a bound."""

from __future__ import annotations

import asyncio
from time import time

import pytest

from mcpkit.security.principal import Principal
from mcpkit.transports.leave import Leave, leave_seconds


@pytest.mark.parametrize(
    ("expires_in", "most", "least", "longest"),
    [(None, None, None, None), (None, 60.0, 60, 60), (30, None, 20, 30), (30, 5.0, 5, 5), (-10, 60.0, 0, 0)],
)
def test_who_may_stay_how_long(
    expires_in: float | None, most: float | None, least: float | None, longest: float | None
) -> None:
    """TOK-09."""
    principal = Principal("a", expires=None if expires_in is None else time() + expires_in)
    seconds = leave_seconds(principal, most)
    if least is None or longest is None:
        assert seconds is None
    else:
        assert seconds is not None
        assert least <= seconds <= longest


async def test_the_client_has_gone_when_its_time_is_over() -> None:
    async def never() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    leave = Leave(never, 0.01)
    for _ in range(2):
        async with asyncio.timeout(5):
            assert await leave() == {"type": "http.disconnect"}


async def test_until_then_it_hears_everything() -> None:
    async def event() -> dict[str, str]:
        return {"type": "http.request"}

    assert await Leave(event, 60)() == {"type": "http.request"}

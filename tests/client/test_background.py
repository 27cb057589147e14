"""Work that nobody awaits."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mcpkit.client.background import Background
from tests.client.scripted import soon


async def test_all_ends_together() -> None:
    """Nothing that was started outlives ``stop``, and a task may call it from within."""
    background, ended = Background(), []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    background.start(work("a"), "a")
    background.start(work("b"), "b")
    await asyncio.sleep(0)
    stopper = background.start(background.stop(), "stopper")
    await soon(stopper)
    assert sorted(ended) == ["a", "b"]
    assert len(background) == 0


async def test_finish_waits_first() -> None:
    """What ends by itself is not cancelled; what does not, is."""
    background, go, log = Background(), asyncio.Event(), []

    async def polite() -> None:
        await go.wait()
        log.append("done")

    background.start(polite(), "polite")
    stuck = background.start(asyncio.Event().wait(), "stuck")
    asyncio.get_running_loop().call_soon(go.set)
    await soon(background.finish(0.01))
    assert log == ["done"]
    assert stuck.cancelled()


async def test_failures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A fault in the background is seen."""

    async def fails() -> None:
        raise ValueError("seen")

    with caplog.at_level(logging.ERROR, "mcpkit.client"):
        await asyncio.wait({Background().start(fails(), "fails")})
        await asyncio.sleep(0)
    assert "mcpkit: fails failed" in caplog.text

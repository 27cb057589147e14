"""The messages of one live stream: in order, bounded, and ending when nothing more is owed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.transports import outbox
from mcpkit.transports.outbox import StreamOutbox


def busy() -> bool:
    return False


async def collected(box: StreamOutbox) -> list[bytes]:
    async with asyncio.timeout(5):
        return [data async for data in box.messages()]


async def test_messages_come_in_order_and_end_with_the_stream() -> None:
    box = StreamOutbox(busy)
    await box.put(b"a")
    box.offer(b"b")
    box.close()
    await box.put(b"too late")
    assert await collected(box) == [b"a", b"b"]


@pytest.mark.parametrize(("most", "value"), [("MOST_MESSAGES", 2), ("MOST_BYTES", 4)])
async def test_senders_wait_for_a_slow_reader_and_notices_are_dropped(
    monkeypatch: pytest.MonkeyPatch, most: str, value: int
) -> None:
    monkeypatch.setattr(outbox, most, value)
    box = StreamOutbox(busy)
    for _ in range(2):
        await box.put(b"xx")
    waiting = asyncio.ensure_future(box.put(b"yy"))
    await asyncio.sleep(0)
    box.offer(b"dropped")
    assert not waiting.done()
    reader: Any = box.messages()
    assert [await anext(reader) for _ in range(2)] == [b"xx", b"xx"]
    await asyncio.wait_for(waiting, 5)
    assert await anext(reader) == b"yy"
    await reader.aclose()


async def test_closing_frees_waiting_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_MESSAGES", 0)
    box = StreamOutbox(busy)
    waiting = asyncio.ensure_future(box.put(b"a"))
    await asyncio.sleep(0)
    box.close()
    await asyncio.wait_for(waiting, 5)
    assert await collected(box) == []


async def test_draining_waits_for_the_last_answer() -> None:
    owed = [1]
    box = StreamOutbox(lambda: not owed)
    reading = asyncio.ensure_future(collected(box))
    box.look()
    box.drain()
    await asyncio.sleep(0)
    assert not reading.done()
    owed.clear()
    box.look()
    await box.put(b"answer")
    assert await reading == [b"answer"]
    assert box.closed

"""The messages of one live stream: in order, bounded, and ending when nothing more is owed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.transports import outbox
from mcpkit.transports.load import Load
from mcpkit.transports.outbox import StreamOutbox


def busy() -> bool:
    return False


async def collected(box: StreamOutbox) -> list[bytes]:
    async with asyncio.timeout(5):
        return [data async for data in box.messages(60)]


async def test_messages_come_in_order_and_end_with_the_stream() -> None:
    box = StreamOutbox(busy, Load(1 << 20))
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
    box = StreamOutbox(busy, Load(1 << 20))
    await box.put(b"xx")
    waiting = asyncio.ensure_future(box.put(b"yy"))
    await asyncio.sleep(0)
    box.offer(b"dropped")
    assert not waiting.done()
    reader: Any = box.messages(60)
    assert await anext(reader) == b"xx"
    await asyncio.wait_for(waiting, 10)
    assert await anext(reader) == b"yy"
    await reader.aclose()


async def test_closing_frees_waiting_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_MESSAGES", 0)
    box = StreamOutbox(busy, Load(1 << 20))
    waiting = asyncio.ensure_future(box.put(b"a"))
    await asyncio.sleep(0)
    box.close()
    await asyncio.wait_for(waiting, 10)
    assert await collected(box) == [b"a"]


async def test_silence_is_told() -> None:
    """HSSE-10: a stream sends a comment then."""
    box = StreamOutbox(busy, Load(1 << 20))
    reader: Any = box.messages(0.01)
    assert await asyncio.wait_for(anext(reader), 10) == b""
    box.offer(b"a")
    assert await asyncio.wait_for(anext(reader), 10) == b"a"
    await reader.aclose()


async def test_the_longest_of_all_gives_way() -> None:
    """AVAIL-04: what clients don't read is bounded in the whole process."""
    load = Load(20_000)
    long, short = StreamOutbox(busy, load), StreamOutbox(busy, load)
    await short.put(b"x" * 7000)
    await long.put(b"x" * 12_000)
    await short.put(b"y" * 2000)
    assert (long.closed, short.closed) == (True, False)
    assert await collected(long) == []
    short.close()
    assert [len(data) for data in await collected(short)] == [7000, 2000]


async def test_what_nobody_will_read_any_more_is_not_counted() -> None:
    """AVAIL-04: a reader that went away takes no room from those that are here."""
    load = Load(20_000)
    for _ in range(3):
        gone = StreamOutbox(busy, load)
        await gone.put(b"x" * 9000)
        gone.drop()
    here = StreamOutbox(busy, load)
    await here.put(b"y" * 12_000)
    assert not here.closed
    await here.put(b"y" * 7000)
    assert not here.closed


async def test_draining_waits_for_the_last_answer() -> None:
    owed = [1]
    box = StreamOutbox(lambda: not owed, Load(1 << 20))
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

"""Change notices reach every session that listens, once, in its revision's shape, from whatever thread."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from mcpkit.protocol.changes import AT_ONCE, PROMPTS_CHANGED, TOOLS_CHANGED, LocalChanges, Notice
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.sessions.delivery import GENERAL, Reader, Stored
from mcpkit.sessions.memory import MemoryStore
from mcpkit.sessions.session import Session
from mcpkit.transports.load import Load
from mcpkit.transports.notices import Notices
from mcpkit.transports.outbox import StreamOutbox


class Hall:
    def __init__(self) -> None:
        self.changes = LocalChanges()
        self.store = MemoryStore()
        self.notices = Notices(self.changes, self.store)

    async def session(self, phase: Phase = Phase.READY) -> Session:
        session = await self.store.create(NEWEST_HANDSHAKE)
        session.phase = phase
        self.notices.begin()
        return session


async def heard(reader: Reader) -> list[bytes]:
    async with asyncio.timeout(5):
        return [stored.data for stored in await reader.next()]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_burst_of_equal_notices_is_one_message() -> None:
    hall = Hall()
    reader = (await hall.session()).mailbox.follow(GENERAL)
    for _ in range(200):
        hall.changes.publish(Notice(TOOLS_CHANGED))
    hall.changes.publish(Notice(PROMPTS_CHANGED))
    await settle()
    assert [TOOLS_CHANGED.encode() in data for data in await heard(reader)] == [True, False]


async def test_who_does_not_listen_stores_nothing() -> None:
    """SHL-28: ten thousand sessions that never opened a stream must not keep ten thousand notices."""
    hall = Hall()
    silent, new, sse = await hall.session(), await hall.session(Phase.INITIALIZING), await hall.session()
    new.mailbox.follow(GENERAL)
    box = sse.outbox = StreamOutbox(lambda: True, Load(1 << 20))
    hall.changes.publish(Notice(TOOLS_CHANGED))
    await settle()
    box.close()
    assert not silent.mailbox.listening
    assert hall.store.shelf.bytes == 0
    assert len([data async for data in box.messages(60)]) == 1


async def test_what_is_logged_reaches_the_sessions_that_want_its_level() -> None:
    """LOG-06: each message once, in order, by the level of each session."""
    hall = Hall()
    all_of_it, worst = await hall.session(), await hall.session()
    worst.log_level = "error"
    readers = [session.mailbox.follow(GENERAL) for session in (all_of_it, worst)]
    for level in ("info", "info", "debug", "error"):
        hall.changes.publish(Notice.logged({"level": level, "data": "x"}))
    await settle()
    heard_of = [[json.loads(data)["params"]["level"] for data in await heard(reader)] for reader in readers]
    assert heard_of == [["info", "info", "error"], ["error"]]


async def test_calls_get_a_turn_while_many_are_told() -> None:
    """Thousands of sessions would hold the event loop for as long as telling them all takes."""
    hall, told, seen = Hall(), list[Stored](), set[int]()

    def take(stored: Stored) -> bool:
        told.append(stored)
        return True

    readers = [(await hall.session()).mailbox.follow(GENERAL) for _ in range(3 * AT_ONCE)]
    waiting = [asyncio.ensure_future(reader.next(take)) for reader in readers]
    await asyncio.sleep(0)
    hall.changes.publish(Notice(TOOLS_CHANGED))
    async with asyncio.timeout(5):
        while len(told) < len(readers):
            await asyncio.sleep(0)
            seen.add(len(told))
    assert {AT_ONCE, 2 * AT_ONCE} <= seen
    for one in waiting:
        one.cancel()


async def test_a_change_made_in_another_thread_arrives() -> None:
    """A sync tool that adds a tool runs in a worker thread."""
    hall = Hall()
    reader = (await hall.session()).mailbox.follow(GENERAL)
    await asyncio.to_thread(hall.changes.publish, Notice(TOOLS_CHANGED))
    assert len(await heard(reader)) == 1


def test_changes_before_the_first_and_after_the_last_loop_are_nobodys() -> None:
    hall = Hall()
    hall.changes.publish(Notice(TOOLS_CHANGED))

    async def live() -> Any:
        await hall.session()

    asyncio.run(live())
    hall.changes.publish(Notice(TOOLS_CHANGED))
    hall.notices.unsubscribe()


class Behind(MemoryStore):
    """Replicas' store for one session: it has missed two notices, and finding that out takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.found = asyncio.Event(), asyncio.Event()
        self.gone: list[Notice] = [Notice.logged({"level": "info", "data": number}) for number in (1, 2)]

    async def missed(self, session: Session) -> list[Notice]:
        gone, self.gone = self.gone, []
        self.asked.set()
        await self.found.wait()
        return gone


async def test_what_was_missed_is_told_before_what_is_new() -> None:
    """LOG-06: a newer notice moves the replicas' mark past the older ones, which nobody would ever tell."""
    store, changes = Behind(), LocalChanges()
    notices = Notices(changes, store)
    session = await store.create(NEWEST_HANDSHAKE)
    session.phase = Phase.READY
    notices.begin()
    reader = session.mailbox.follow(GENERAL)
    listening = asyncio.ensure_future(notices.catch_up(session))
    await asyncio.wait_for(store.asked.wait(), 10)
    changes.publish(Notice.logged({"level": "info", "data": 3}))
    await settle()
    store.found.set()
    await asyncio.wait_for(listening, 10)
    await settle()
    assert [json.loads(data)["params"]["data"] for data in await heard(reader)] == [1, 2, 3]

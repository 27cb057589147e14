"""No sessions: what is made lasts for one answer, and nothing is found."""

from __future__ import annotations

from mcpkit.protocol.changes import LocalChanges
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.sessions.none import NoSessions
from mcpkit.sessions.store import Posted


async def test_nothing_is_kept() -> None:
    store, changes = NoSessions(), LocalChanges()
    session = await store.create(NEWEST_HANDSHAKE)
    assert await store.get(session.id) is None
    assert (store.keeps, store.away, store.count, await store.sweep(), store.open_sessions()) == (
        False,
        False,
        0,
        0,
        (),
    )
    assert store.feed(changes) is changes
    assert await store.missed(session) == ()
    assert not await store.hand_over(session, Posted({}, None, b""))
    await store.end(session)
    assert store.stored == 0
    assert session.phase is Phase.CLOSED

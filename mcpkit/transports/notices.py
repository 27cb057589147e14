"""Notices on their way to handshake sessions: one listener and one short-lived task for all of them.

What must never stand here: ``subscriptions/listen`` (a handler like any other), HTTP.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mcpkit.jsonrpc.codec import encode_notification
from mcpkit.protocol.changes import ChangeFeed, Notice
from mcpkit.protocol.lifecycle import Phase
from mcpkit.sessions.delivery import GENERAL
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import SessionStore, StoreAway


class Notices:
    """Tells every session that listens what has changed, and what was logged outside its requests.

    Equal notices that wait are told once (LSUB-01, LSUB-02, LOG-06).
    """

    __slots__ = ("_loop", "_store", "_task", "_waiting", "unsubscribe")

    def __init__(self, changes: ChangeFeed, store: SessionStore) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[Notice, None] = {}
        self.unsubscribe = changes.subscribe(self._hear)

    def begin(self) -> None:
        """There is a session now: notices are for this event loop."""
        self._loop = asyncio.get_running_loop()

    def _hear(self, notice: Notice) -> None:
        """Called in whatever thread it was published."""
        if self._loop is None or not self._store.count:
            return
        with suppress(RuntimeError):  # the loop has been closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._note, notice)

    def _note(self, notice: Notice) -> None:
        notice.wait(self._waiting)
        if self._task is None:
            self._task = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        while self._waiting:
            notice = next(iter(self._waiting))
            del self._waiting[notice]
            encoded: dict[str, bytes] = {}
            for session in self._store.open_sessions():
                if _concerns(notice, session):
                    with suppress(StoreAway):  # it is told when its client comes back
                        await _put(session, _encoded(notice, session, encoded), notice.place)
        self._task = None

    async def catch_up(self, session: Session) -> None:
        """Tell a session, which listens again, what came while nobody could tell it."""
        for notice in await self._store.missed(session):
            if _concerns(notice, session):
                await _put(session, _encoded(notice, session, {}), notice.place)


def _concerns(notice: Notice, session: Session) -> bool:
    if session.phase is not Phase.READY or not notice.concerns(session):
        return False
    return session.outbox is not None or session.mailbox.listening


def _encoded(notice: Notice, session: Session, encoded: dict[str, bytes]) -> bytes:
    """The notification in the session's revision; written once for all sessions of that revision."""
    name = session.revision.name
    if name not in encoded:
        lower = session.revision.lower.get(notice.method)
        encoded[name] = encode_notification(notice.method, lower(notice.params) if lower else notice.params)
    return encoded[name]


async def _put(session: Session, data: bytes, place: str | None) -> None:
    if session.outbox is not None:
        session.outbox.offer(data)
    else:
        await session.mailbox.append(GENERAL, data, notice=place)

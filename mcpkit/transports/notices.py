"""Notices on their way to handshake sessions: one listener and one short-lived task for all of them.

What must never stand here: ``subscriptions/listen`` (a handler like any other), HTTP.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mcpkit.jsonrpc.codec import encode_notification
from mcpkit.protocol.changes import AT_ONCE, ChangeFeed, Notice
from mcpkit.protocol.lifecycle import Phase
from mcpkit.sessions.delivery import GENERAL
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import SessionStore, StoreAway


class Notices:
    """Tells every session that listens what has changed, and what was logged outside its requests.

    Equal notices that wait are told once (LSUB-01, LSUB-02, LOG-06). Replicas share one mark of what a session has been
    told, and a notice moves it past all before: so whoever tells one has told, or seen told, every one before it.
    """

    __slots__ = ("_loop", "_store", "_task", "_told", "_waiting", "unsubscribe")

    def __init__(self, changes: ChangeFeed, store: SessionStore) -> None:
        self._store = store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[Notice, None] = {}
        self._told = 0
        """Notices told so far."""
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
            self._told += 1
            for number, session in enumerate(self._store.open_sessions(), 1):
                try:
                    await self._tell_one(session, notice, encoded)
                except StoreAway:  # it is told when its client comes back, or with the next notice
                    session.current = False
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)
        self._task = None

    async def _tell_one(self, session: Session, notice: Notice, encoded: dict[str, bytes]) -> None:
        if not _listens(session):
            session.current = False
            return
        if session.outbox is None and not session.current:
            await self.catch_up(session)
        if notice.concerns(session):
            data, outbox = _encoded(notice, session, encoded), session.outbox
            if outbox is not None:
                outbox.offer(data)
            else:
                await session.mailbox.append(GENERAL, data, notice=notice.place)

    async def catch_up(self, session: Session) -> None:
        """Tell a session, which listens again (one over HTTP+SSE always does), what came while nobody could tell it."""
        told = self._told
        for notice in await self._store.missed(session):
            if notice.concerns(session):
                await session.mailbox.append(GENERAL, _encoded(notice, session, {}), notice=notice.place)
        session.current = told == self._told  # else it may have been left out of what was told in between


def _listens(session: Session) -> bool:
    return session.phase is Phase.READY and (session.outbox is not None or session.mailbox.listening)


def _encoded(notice: Notice, session: Session, encoded: dict[str, bytes]) -> bytes:
    """The notification in the session's revision; written once for all sessions of that revision."""
    name = session.revision.name
    if name not in encoded:
        encoded[name] = encode_notification(notice.method, session.revision.lowered(notice.method, notice.params))
    return encoded[name]

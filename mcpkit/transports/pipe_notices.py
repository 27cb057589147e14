"""Notices on their way to the session of a pipe (LSUB-01, LSUB-02, LOG-06).

What must never stand here: ``subscriptions/listen``, which is a call like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from mcpkit.jsonrpc.codec import encode_notification
from mcpkit.protocol.changes import ChangeFeed, Notice
from mcpkit.protocol.lifecycle import Phase
from mcpkit.transports.pipe_call import Outlet, PipeSession


class PipeNotices:
    """Tells the session, once it is ready, what is new; equal notices that wait are told once."""

    def __init__(self, changes: ChangeFeed, session: Callable[[], PipeSession | None], outlet: Outlet) -> None:
        self._session = session
        self._outlet = outlet
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[Notice, None] = {}
        self._closed = False
        self._unsubscribe = changes.subscribe(self._hear)

    def close(self) -> None:
        """Hear no more; may be called twice."""
        self._closed = True
        self._unsubscribe()
        if self._task is not None:
            self._task.cancel()

    def _hear(self, notice: Notice) -> None:
        """Called in whatever thread it was published."""
        with suppress(RuntimeError):  # the loop has been closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._note, notice)

    def _note(self, notice: Notice) -> None:
        session = self._session()
        if self._closed or session is None or session.phase is not Phase.READY:
            return
        if notice.concerns(session):
            notice.wait(self._waiting)
            if self._task is None:
                self._task = self._loop.create_task(self._tell(session))

    async def _tell(self, session: PipeSession) -> None:
        while self._waiting:
            notice = next(iter(self._waiting))
            del self._waiting[notice]
            params = session.revision.lowered(notice.method, notice.params)
            self._outlet.write(encode_notification(notice.method, params))
            await self._outlet.drained()
        self._task = None

"""Change notices on their way to the session of a pipe (LSUB-01, LSUB-02).

What must never stand here: ``subscriptions/listen``, which is a call like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from mcpkit.jsonrpc.codec import encode_notification
from mcpkit.protocol.changes import ChangeFeed, Notice
from mcpkit.protocol.lifecycle import Phase
from mcpkit.transports.pipe_call import PipeSession, lowered


class PipeNotices:
    """Tells the session, once it is ready, what has changed; equal changes that came together are told once."""

    def __init__(
        self, changes: ChangeFeed, session: Callable[[], PipeSession | None], send: Callable[[bytes], None]
    ) -> None:
        self._session = session
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Notice, None] = {}
        self.close = changes.subscribe(self._hear)
        """Hear no more; may be called twice."""

    def _hear(self, notice: Notice) -> None:
        """Called in whatever thread the change was made."""
        with suppress(RuntimeError):  # the loop has been closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._note, notice)

    def _note(self, notice: Notice) -> None:
        session = self._session()
        if session is None or session.phase is not Phase.READY:
            return
        if notice.concerns(session.subscriptions):
            if not self._waiting:
                self._loop.call_soon(self._tell, session)
            self._waiting[notice] = None

    def _tell(self, session: PipeSession) -> None:
        for notice in self._waiting:
            params = lowered(session.revision, notice.method, notice.params)
            self._send(encode_notification(notice.method, params))
        self._waiting.clear()

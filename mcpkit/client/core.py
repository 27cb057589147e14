"""The client's heart: one live connection, made when it is needed, made anew when it is lost.

A request that was never sent, or that the server says it has not served, is sent again by itself; one that may have
been served only when repeating it does no harm; everything else is told to the caller. Whoever calls, from whatever
task: the connection and its tasks belong to this object alone. What must never stand here: a method of the protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mcpkit.client import era
from mcpkit.client.answers import Answers
from mcpkit.client.background import Background
from mcpkit.client.connection import Connection
from mcpkit.client.errors import (
    AuthorizationFailed,
    ClientError,
    ConnectionLost,
    HttpRefused,
    ServerRefused,
    SessionEnded,
    Timeout,
    Unreachable,
)
from mcpkit.client.identity import Identity
from mcpkit.client.limits import Patience
from mcpkit.client.notices import Change
from mcpkit.client.outage import Outage
from mcpkit.client.persistence import Persistence
from mcpkit.client.target import Reach
from mcpkit.client.underway import Manner
from mcpkit.jsonrpc.messages import JsonObject, Notification


@dataclass(slots=True)
class Setup:
    """What a connection is made with."""

    reach: Reach
    identity: Identity
    answers: Answers
    patience: Patience
    mode: era.Mode
    memory: era.EraMemory


class Core:
    """Keeps a connection, and asks through it."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.told: list[Callable[[Connection, Notification], None]] = []
        """Hear what the server says unasked."""
        self.restore: list[Callable[[Connection], Awaitable[None]]] = []
        """Done on every new connection before it is used: what the server forgot with the old one."""
        self.missed: list[Callable[[Change], None]] = []
        """Hear what may have changed while nobody listened."""
        self.listeners = 0
        """How many wait for what the server says; for them a lost connection is made anew without being asked for."""
        self._background = Background()
        self._live: Connection | None = None
        self._making: asyncio.Task[Connection] | None = None
        self._returning: asyncio.Task[None] | None = None
        self._deaths = 0
        self._mourned: Connection | None = None
        self._had_one = False
        self._closed = False

    # ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────

    async def connection(self) -> Connection:
        """The live connection; made now if there is none.

        Raises: ClientError.
        """
        if self._live is not None and self._live.lost is None:
            return self._live
        if self._closed:
            raise ConnectionLost("the client is closed", sent=False)
        if self._making is None or self._making.done():
            self._making = asyncio.get_running_loop().create_task(self._make(), name="mcpkit: connect")
            self._making.add_done_callback(_retrieved)
        return await asyncio.shield(self._making)  # who stops waiting does not stop the others' connection

    @property
    def live(self) -> Connection | None:
        """The connection there is, if any."""
        return self._live

    def reopen(self) -> None:
        """After ``close``, allow to connect again."""
        self._closed = False

    async def close(self) -> None:
        """End the connection and all work; from any task, more than once."""
        self._closed = True
        making, self._making = self._making, None
        if making is not None and not making.done():
            making.cancel()
            await asyncio.wait({making})
        live, self._live = self._live, None
        if live is not None:
            await live.close()
        await self._background.stop()
        self._deaths, self._had_one = 0, False

    async def _make(self) -> Connection:
        old, self._live = self._live, None
        if old is not None and any(door.single for door in self.setup.reach.doors):
            await old.close()
        elif old is not None:
            self._background.start(old.retire(), "retire a connection")
        attempts = self.setup.patience.bounds.attempts
        if self._deaths > attempts:
            self._deaths = 0  # the next call may try again
            raise Unreachable(f"{self.setup.reach.name} was lost {attempts + 1} times in a row: {old and old.lost}")
        for attempt in range(attempts):
            if attempt or self._deaths > 1:
                await asyncio.sleep(self.setup.patience.pauses.before(attempt + max(0, self._deaths - 2)))
            try:
                return await self._agreed()
            except Unreachable:
                if not self._had_one or attempt + 1 == attempts:
                    raise
        raise AssertionError("unreachable")

    async def _agreed(self) -> Connection:
        setup = self.setup
        key = setup.reach.key
        known = setup.memory.recall(key) if key is not None else None
        try:
            connection, door = await era.agree(self._connect, setup.reach.doors, setup.mode, known)
        except (Unreachable, Timeout, AuthorizationFailed):
            raise
        except ClientError as error:
            if known is None or key is None or (isinstance(error, HttpRefused) and error.retryable):
                raise
            setup.memory.forget(key)
            connection, door = await era.agree(self._connect, setup.reach.doors, setup.mode, None)
        if key is not None and setup.mode == "auto":
            setup.memory.remember(key, era.Agreement(door.kind, connection.spoken.name))
        connection.on_lost = self._was_lost
        await self._restored(connection)
        self._live, self._had_one = connection, True
        return connection

    async def _connect(self, door: era.Door) -> Connection:
        setup = self.setup
        connection = Connection(door.make(), setup.identity, setup.answers, setup.patience, self._tell)
        try:
            await connection.open()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _restored(self, connection: Connection) -> None:
        setup_name = connection.server.server_info.display_name
        self.setup.answers.server = setup_name or self.setup.reach.name
        try:
            for restore in self.restore:
                await restore(connection)
        except BaseException:
            await connection.close()
            raise

    def _tell(self, connection: Connection, notification: Notification) -> None:
        for told in self.told:
            told(connection, notification)

    def _was_lost(self, connection: Connection) -> None:
        self._dead(connection)
        if self.listeners and not self._closed and (self._returning is None or self._returning.done()):
            self._returning = self._background.start(self._reconnect(), "reconnect")

    async def _reconnect(self) -> None:
        """Connect again for those who listen, however long it takes."""
        outage = Outage(self.setup.reach.name, self.setup.patience)
        while self.listeners and not self._closed and (self._live is None or self._live.lost is not None):
            try:
                await self.connection()
            except ClientError as error:
                if not await outage.waited_out(error):
                    return
            else:
                outage.over()

    def _dead(self, connection: Connection) -> None:
        """Count it, once, however many calls fail by it."""
        if self._live is connection and self._mourned is not connection:
            self._mourned = connection
            self._deaths += 1
            connection.lost = connection.lost or ConnectionLost("the connection was lost")

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def request(self, method: str, params: JsonObject, manner: Manner) -> JsonObject:
        """The result, whatever it takes that is safe.

        Raises: ClientError.
        """
        persistence = Persistence(self.setup.patience, repeatable=manner.repeatable, seconds=manner.silence)
        while True:
            connection = await self.connection()
            try:
                result = await self._asked(connection, method, params, manner)
            except (ConnectionLost, Unreachable, HttpRefused) as error:
                if connection.lost is not None or isinstance(error, SessionEnded):
                    self._dead(connection)
                await asyncio.sleep(persistence.pause_after(error))
            else:
                self._deaths = 0
                return result

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification.

        Raises: ClientError.
        """
        connection = await self.connection()
        try:
            await connection.notify(method, params)
        except SessionEnded:
            self._dead(connection)
            await (await self.connection()).notify(method, params)

    async def _asked(self, connection: Connection, method: str, params: JsonObject, manner: Manner) -> JsonObject:
        try:
            return await connection.request(method, params, manner)
        except ServerRefused as error:
            other = era.mutual(error)  # NEG-03
            if other is None:
                raise
        connection.agreed(other, connection.server, era.stamp(connection, other))
        return await connection.request(method, params, manner)


def _retrieved(task: asyncio.Task[Connection]) -> None:
    """Its failure is told to those who wait; nobody waiting is no news."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()

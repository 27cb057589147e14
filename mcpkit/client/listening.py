"""Being told of changes, by the same words in every revision: a listen stream, or a session's own notifications.

A stream that breaks is opened again, and because something may have gone by meanwhile, each subject is then reported
once as possibly missed. What must never stand here: caching, a transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import MethodType, TracebackType
from typing import Any, Final, Self

from mcpkit.client.background import Background, log
from mcpkit.client.connection import Connection
from mcpkit.client.core import Core
from mcpkit.client.errors import ClientError, ServerRefused, Timeout, Unsupported
from mcpkit.client.notices import Change, ChangeKind, change_of
from mcpkit.client.transports.transport import Call
from mcpkit.client.underway import Manner
from mcpkit.jsonrpc.messages import Id, JsonObject, Notification
from mcpkit.protocol.types import META_SUBSCRIPTION_ID
from mcpkit.protocol.uri_template import normalize_uri

LISTEN: Final = "subscriptions/listen"
_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"


@dataclass(frozen=True, slots=True)
class Subjects:
    """What to be told of."""

    tools: bool = False
    prompts: bool = False
    resources: bool = False
    uris: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()

    def to_params(self) -> JsonObject:
        """The filter of ``subscriptions/listen`` (SUB-01)."""
        wanted: JsonObject = {
            "toolsListChanged": self.tools,
            "promptsListChanged": self.prompts,
            "resourcesListChanged": self.resources,
            "resourceSubscriptions": list(self.uris),
            "taskIds": list(self.tasks),
        }
        return {"notifications": {name: value for name, value in wanted.items() if value}}

    def want(self, change: Change) -> bool:
        """Whether the change is one of these."""
        if change.kind == "resource":
            return change.uri is not None and any(_within(change.uri, uri) for uri in self.uris)
        if change.kind == "task":
            return change.task is not None and change.task.get("taskId") in self.tasks
        return bool(getattr(self, change.kind))

    def missed(self) -> list[Change]:
        """Everything that may have changed while nobody listened."""
        kinds: Sequence[ChangeKind] = ("tools", "prompts", "resources")
        lists = [Change(kind, missed=True) for kind in kinds if getattr(self, kind)]
        return lists + [Change("resource", uri, missed=True) for uri in self.uris]


class Listening:
    """One subscription; ``async with`` opens and ends it, ``async for`` hands out the changes."""

    def __init__(self, core: Core, subjects: Subjects) -> None:
        self.subjects = subjects
        self.acknowledged: JsonObject = {}
        """What the server agreed to tell (SUB-06)."""
        self._core = core
        self._background = Background()
        self._pending: deque[Change] = deque()
        self._news = asyncio.Event()
        self._opened = asyncio.Event()
        self._times_opened = 0
        self._call: Call | None = None
        self._asking: asyncio.Task[ClientError | None] | None = None
        self._error: ClientError | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        connection = await self._core.connection()
        self._core.told.append(self._told)
        try:
            if LISTEN in connection.spoken.requests:
                self._background.start(self._stream(), "listen")
                await self._wait_until_open(connection.patience.deadlines.handshake)
            else:
                self._core.restore.append(self._subscribe)
                self._core.listeners += 1
                await self._subscribe(connection)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        while not self._pending:
            if self._error is not None:
                raise self._error
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._pending.popleft()

    async def close(self) -> None:
        """End the subscription; whoever iterates is done."""
        if self._over:
            return
        self._over = True
        self._news.set()
        if self._told in self._core.told:
            self._core.told.remove(self._told)
        if self._subscribe in self._core.restore:
            self._core.restore.remove(self._subscribe)
            self._core.listeners -= 1
            await self._unsubscribe()
        await self._background.stop()

    # ── a stream of its own ─────────────────────────────────────────────────────────────────────────────────────────

    async def _stream(self) -> None:
        """Keep a stream open."""
        pauses, failures = self._core.setup.patience.pauses, 0
        while not self._over:
            opened = self._times_opened
            error = await self._one_stream()
            if error is not None:
                if (
                    isinstance(error, ServerRefused | Unsupported)
                    or failures >= self._core.setup.patience.bounds.attempts
                ):
                    self._fail(error)
                    return
                log.debug("the listen stream broke: %s", error)
            failures = 0 if self._times_opened > opened else failures + 1
            await asyncio.sleep(pauses.before(failures))

    async def _one_stream(self) -> ClientError | None:
        """One stream, until the server ends it, or until the error that ends it."""
        self._asking = self._background.start(self._ask(), "listen stream")
        await asyncio.wait({self._asking})
        return None if self._asking.cancelled() else self._asking.result()

    async def _ask(self) -> ClientError | None:
        manner = Manner(silence=None, whole=None, sent=self._sent)
        try:
            await self._core.request(LISTEN, self.subjects.to_params(), manner)
        except ClientError as error:  # told to who iterates, or tried again: no news for a log
            return error
        return None

    def _sent(self, call: Call) -> None:
        self._call = call

    def _told(self, connection: Connection, notification: Notification) -> None:
        params = notification.params
        if LISTEN not in connection.spoken.requests:
            self._hear(change_of(notification))
        elif notification.method == "notifications/cancelled":
            if self._is_ours(params.get("requestId")) and self._asking is not None:
                self._asking.cancel()  # AMB-01: the server ends the stream, and may say no more
        elif self._is_ours(_subscription_of(params)):
            if notification.method == _ACKNOWLEDGED:
                self._acknowledge(params)
            else:
                self._hear(change_of(notification))

    def _acknowledge(self, params: JsonObject) -> None:
        agreed = params.get("notifications")
        self.acknowledged = agreed if isinstance(agreed, dict) else {}
        self._times_opened += 1
        self._opened.set()
        if self._times_opened > 1:
            self.missed()

    def _is_ours(self, id: Any) -> bool:
        ours: Id | None = self._call.id if self._call is not None else None
        return ours is not None and type(id) is type(ours) and id == ours

    async def _wait_until_open(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._opened.wait()
        except TimeoutError:
            raise Timeout("the server did not acknowledge the subscription in time") from None
        if self._error is not None:
            raise self._error

    # ── a session's notifications ───────────────────────────────────────────────────────────────────────────────────

    async def _subscribe(self, connection: Connection) -> None:
        """Tell the session which resources are of interest; lists it reports anyway (LSUB-01, LSUB-02)."""
        for uri in self.subjects.uris:
            await connection.request("resources/subscribe", {"uri": uri}, Manner(repeatable=True))
        self.acknowledged = self.subjects.to_params()["notifications"]
        self._times_opened += 1
        if self._times_opened > 1:
            self.missed()

    async def _unsubscribe(self) -> None:
        connection = self._core.live
        if connection is None or connection.lost is not None:
            return
        others = [restore.__self__ for restore in self._core.restore if isinstance(restore, MethodType)]
        kept = {uri for other in others if isinstance(other, Listening) for uri in other.subjects.uris}
        try:
            for uri in set(self.subjects.uris) - kept:
                await connection.request("resources/unsubscribe", {"uri": uri}, Manner(silence=5.0))
        except ClientError as error:
            log.debug("a subscription was not taken back: %s", error)

    # ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def missed(self) -> None:
        """Nobody listened for a while: report everything that may have changed."""
        for change in self.subjects.missed():
            for hear in self._core.missed:
                hear(change)
            self._hear(change)

    def _hear(self, change: Change | None) -> None:
        if change is None or not self.subjects.want(change) or change in self._pending:
            return  # twice the same change, not yet taken, is one
        if len(self._pending) >= self._core.setup.patience.bounds.notices:
            self._pending.popleft()
        self._pending.append(change)
        self._news.set()

    def _fail(self, error: ClientError) -> None:
        self._error = error
        self._opened.set()
        self._news.set()


def _subscription_of(params: JsonObject) -> Any:
    meta = params.get("_meta")
    return meta.get(META_SUBSCRIPTION_ID) if isinstance(meta, dict) else None


def _within(uri: str, subscribed: str) -> bool:
    """The URI is the one subscribed to or a part of it, in whatever spelling."""
    uri, subscribed = normalize_uri(uri), normalize_uri(subscribed)
    return uri == subscribed or uri.startswith(subscribed.rstrip("/") + "/") or uri.startswith(subscribed + "#")

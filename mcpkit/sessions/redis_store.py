"""Sessions that any replica finds: records in Redis, and the ones that this process has at hand.

What must never stand here: a client's wire, HTTP, how Redis is reached.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final, TypeAlias

import orjson

from mcpkit.jsonrpc.codec import decode, encode
from mcpkit.jsonrpc.messages import ErrorResponse, Response
from mcpkit.limits import digest_of
from mcpkit.protocol.changes import ChangeFeed, Notice
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.sessions import redis_scripts as scripts
from mcpkit.sessions.mailbox import DEFAULT_BOUNDS, Bounds
from mcpkit.sessions.memory import ID_BYTES
from mcpkit.sessions.redis_census import Census
from mcpkit.sessions.redis_feed import RedisFeed, notice_of
from mcpkit.sessions.redis_inbox import Inbox, entry
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.redis_mailbox import RedisMailbox
from mcpkit.sessions.redis_session import OF_CALLER, SharedSession
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import Lived, Posted, StoreAway, StoreFull, sessions_bound, unnoted, watched_bound

AT_HAND_SECONDS: Final = 30.0
"""How long a session that nothing happens in is remembered here, to save looking its record up again."""
STAY_SECONDS: Final = 10.0
LONGEST_ID: Final = 128

Take: TypeAlias = Callable[[Session, Posted], Awaitable[None]]


class RedisStore:
    """See :class:`~mcpkit.sessions.store.SessionStore`."""

    keeps = True

    def __init__(
        self,
        link: Link,
        feed: RedisFeed,
        most: int = 10_000,
        idle_seconds: float = 1800.0,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        self._link = link
        self._feed = feed
        self._counted = sessions_bound(most, bounds.share)
        self._watched = watched_bound(bounds.watched_bytes, bounds.share)
        self._idle_ms = int(idle_seconds * 1000)
        self._bounds = bounds
        self._sessions: dict[str, SharedSession] = {}
        self._take: Take | None = None
        self.lived: Lived = unnoted
        self._census = Census(link)
        self._stayed = monotonic()
        link.back.append(self._wake_all)
        link.beats.append(self._beat)

    def listen(self, inbox: Inbox) -> None:
        """Take what other replicas send."""
        kinds = {
            "wake": self._woken,
            "state": self._changed,
            "end": self._ended,
            "answer": self._answered,
            "cancel": self._cancelled,
            "post": self._posted,
        }
        for kind, take in kinds.items():
            inbox.on(kind, take)

    @property
    def count(self) -> int:
        """How many sessions there are in all, as of a moment ago; at least those at hand here."""
        return max(self._link.sessions, len(self._sessions))

    @property
    def stored(self) -> int:
        """How many bytes of messages wait in all, as of a moment ago."""
        return self._census.bytes

    @property
    def away(self) -> bool:
        """Whether Redis is out of reach."""
        return self._link.away

    async def create(self, revision: Revision, principal: Principal | None = None, caller: str = "") -> Session:
        """A new session.

        Raises: StoreFull, StoreAway.
        """
        session = self._at_hand(secrets.token_urlsafe(ID_BYTES), revision, principal, caller)
        fields = [part for field in session.opened().items() for part in field]
        bound = self._counted
        given = (session.id, self._idle_ms, bound.most, bound.each, digest_of(caller), *fields)
        made = await self._link.run(scripts.CREATE, *given)
        if made != 1:
            of_caller = made == OF_CALLER
            reached = bound.reached_by_caller() if of_caller else bound.reached()
            raise StoreFull(str(reached), of_caller=of_caller)
        self._sessions[session.id] = session
        return session

    async def get(self, id: str, principal: Principal | None = None) -> Session | None:
        """The session of that id, touched; None when it is unknown, ended, or somebody else's.

        Raises: StoreAway.
        """
        if len(id) > LONGEST_ID or not id.isascii() or not id.isprintable():
            return None
        session = await self._looked_up(id)
        return session if session is not None and session.belongs_to(principal) else None

    async def end(self, session: Session) -> None:
        """End a session, on every replica.

        Raises: StoreAway.
        """
        self._forget(session.id)
        session.end()
        try:
            lived = await self._link.run(scripts.END, session.id, self._link.id)
            if lived is not None:
                self.lived(lived / 1000)
        except StoreAway:
            self._link.owe(scripts.END, session.id, self._link.id)
            raise

    async def sweep(self) -> int:
        """Redis ends idle sessions by itself."""
        return 0

    def open_sessions(self) -> Sequence[Session]:
        """The sessions at hand."""
        return tuple(self._sessions.values())

    def feed(self, changes: ChangeFeed) -> ChangeFeed:
        """Notices of all replicas, each with its place."""
        return self._feed

    async def missed(self, session: Session) -> Sequence[Notice]:
        """The notices that came while nobody told this session.

        Raises: StoreAway.
        """
        found = await self._link.run(scripts.MISSED, session.id)
        return [notice_of(id, fields) for id, fields in map(entry, found)]

    def take_posts(self, take: Take) -> None:
        """Have what is posted elsewhere for a stream of this replica taken by ``take``."""
        self._take = take

    async def hand_over(self, session: Session, posted: Posted) -> bool:
        """Send what was posted here to the replica that has the session's stream; False when that is gone.

        Raises: StoreAway.
        """
        assert isinstance(session, SharedSession)
        principal = posted.principal
        caller = None if principal is None else [principal.id, sorted(principal.scopes), principal.client_id]
        head = encode([dict(posted.headers), caller, dict(principal.claims) if principal else {}])
        return await session.send(session.home, "post", head + b"\n" + posted.body)

    # ── records ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _looked_up(self, id: str) -> SharedSession | None:
        session = self._sessions.get(id)
        found = await self._link.run(scripts.TOUCH, id, self._idle_ms, session.version if session else b"")
        if not found:
            if session is not None:
                self._forget(id)
                session.end()
            return None
        version, heard, *record = found
        session = session or self._sessions.get(id)
        if session is None or (record and session.version != version):
            fields = _fields(record[0]) if record else {}
            if session is None:
                session = self._sessions[id] = self._at_hand(id, NEWEST_HANDSHAKE, _owner(fields["owner"]))
            session.learn(version, fields)
        session.mailbox.heard(heard == b"1")
        session.seen = monotonic()
        return session

    def _at_hand(self, id: str, revision: Revision, principal: Principal | None, caller: str = "") -> SharedSession:
        mailbox = RedisMailbox(self._link, id, self._bounds)
        session = SharedSession(self._link, id, revision, mailbox, principal, self._watched, caller)
        session.seen = monotonic()
        return session

    def _forget(self, id: str) -> None:
        self._sessions.pop(id, None)

    # ── with every beat ──────────────────────────────────────────────────────────────────────────────────────────

    async def _beat(self) -> None:
        now = monotonic()
        for session in tuple(self._sessions.values()):
            session.mailbox.wake_resumed()
            if now - session.seen > AT_HAND_SECONDS and not session.busy:
                self._forget(session.id)
        if now - self._stayed >= min(STAY_SECONDS, self._idle_ms / 3000):
            self._stayed = now
            busy = [session.id for session in self._sessions.values() if session.busy]
            for start in range(0, len(busy), 1000):
                await self._link.run(scripts.STAY, self._idle_ms, *busy[start : start + 1000])

    def _wake_all(self) -> None:
        for session in self._sessions.values():
            session.mailbox.wake()

    # ── what other replicas send ─────────────────────────────────────────────────────────────────────────────────

    async def _woken(self, id: str, body: bytes) -> None:
        session = self._sessions.get(id)
        if session is not None:
            session.mailbox.wake(body.decode())

    async def _changed(self, id: str, body: bytes) -> None:
        if id in self._sessions:
            await self._looked_up(id)

    async def _ended(self, id: str, body: bytes) -> None:
        session = self._sessions.pop(id, None)
        if session is not None:
            session.end()

    async def _answered(self, id: str, body: bytes) -> None:
        session = self._sessions.get(id)
        message = decode(body)
        if session is not None and isinstance(message, (Response, ErrorResponse)):
            session.peer.answered(message)

    async def _cancelled(self, id: str, body: bytes) -> None:
        session = self._sessions.get(id)
        if session is not None:
            session.peer.cancel(*orjson.loads(body))

    async def _posted(self, id: str, body: bytes) -> None:
        session = self._sessions.get(id)
        if session is None or self._take is None:
            return
        head, _, message = body.partition(b"\n")
        headers, caller, claims = orjson.loads(head)
        principal = caller and Principal(caller[0], frozenset(caller[1]), caller[2], claims)
        await self._take(session, Posted(headers, principal, message))


def _fields(flat: Any) -> Mapping[str, bytes]:
    return dict(zip((name.decode() for name in flat[::2]), flat[1::2], strict=True))


def _owner(text: bytes) -> Principal | None:
    return Principal(orjson.loads(text)) if text else None

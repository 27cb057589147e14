"""One handshake session as this replica sees it: its record is in Redis, its calls and questions are where they run.

What must never stand here: where records are looked up (redis_store.py), bytes on a client's wire, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import orjson

from mcpkit.jsonrpc.codec import encode, encode_error, encode_result
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Id, Response
from mcpkit.jsonrpc.peer import Peer
from mcpkit.limits import Bound
from mcpkit.protocol.exchange import Client
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.registry import REVISIONS
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.sessions import redis_scripts as scripts
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.redis_mailbox import RedisMailbox
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import StoreAway

OF_CALLER: Final = -1
"""What a step gives back that would be too much for one caller."""
MOST_INBOX_BYTES: Final = 32 << 20
"""Bytes that may wait in Redis for one replica to take them."""
WATCHED: Final = "u:"
"""Fields of a record that begin so name a resource that the session watches."""


class SharedSession(Session):
    """A session that any replica serves; :meth:`keep` makes what has changed here known to all."""

    __slots__ = ("_bound", "_client_text", "_clients", "_kept", "_link", "home", "version")

    mailbox: RedisMailbox

    def __init__(
        self,
        link: Link,
        id: str,
        revision: Revision,
        mailbox: RedisMailbox,
        owner: Principal | None,
        bound: Bound,
        caller: str = "",
    ) -> None:
        """``bound`` is that of the bytes which all sessions watch."""
        super().__init__(id, revision, mailbox, owner, caller)
        self._bound = bound
        self.peer = Peer(f"{link.id}-")
        self._link = link
        self.home = ""
        """Over HTTP+SSE: the replica that holds the stream, and with it everything of the session."""
        self.version = b""
        self._clients: Client | None = None
        self._client_text = b""
        self._kept: dict[str, bytes] = {}

    @property
    def streamed(self) -> bool:
        """Whether the session is one stream over HTTP+SSE, here or elsewhere."""
        return self.outbox is not None or bool(self.home)

    # ── the record ───────────────────────────────────────────────────────────────────────────────────────────────

    def record(self) -> dict[str, bytes]:
        """What all replicas know of the session."""
        if self.client is not self._clients:
            self._clients = self.client
            self._client_text = encode([dict(self.client.info), dict(self.client.capabilities)])
        fields = {
            "revision": self.revision.name.encode(),
            "client": self._client_text,
            "phase": self.phase.name.encode(),
            "level": (self.log_level or "").encode(),
            "home": (self._link.id if self.outbox is not None else self.home).encode(),
        }
        fields |= {WATCHED + uri: b"1" for uri in self.subscriptions}
        return fields

    def opened(self) -> dict[str, bytes]:
        """The record of a new session, with what never changes."""
        self._kept = self.record()
        owner = b"" if self.principal is None else encode(self.principal.id)
        return {**self._kept, "owner": owner}

    async def watch(self, uri: str) -> None:
        """Watch one URI more; where Redis is away, that is known once the session is kept.

        Raises: BoundReached.
        """
        self.subscriptions |= {uri}
        with suppress(StoreAway):
            reached = await self._keep()
            if reached is not None:
                self.subscriptions -= {uri}
                raise reached

    def unwatch(self, uri: str) -> None:
        """Watch it no more."""
        self.subscriptions -= {uri}

    async def keep(self) -> None:
        """Tell all replicas what has changed, if anything has.

        Raises: StoreAway.
        """
        if await self._keep() is not None:  # watched while Redis was away, and too much
            self.subscriptions &= {name[len(WATCHED) :] for name in self._kept}
            await self._keep()

    async def _keep(self) -> Exception | None:
        """As :meth:`keep`; why nothing was kept, where this session would watch too much.

        Raises: StoreAway.
        """
        fields, kept = self.record(), self._kept
        if fields == kept:
            return None
        going = [name for name in kept if name not in fields]
        coming = [part for name, value in fields.items() if kept.get(name) != value for part in (name, value)]
        bound = self._bound
        given = (self.id, self._link.id, bound.most, bound.each, len(going), *going, *coming)
        done = await self._link.run(scripts.KEEP, *given)
        if done < 0:
            return bound.reached_by_caller() if done == OF_CALLER else bound.reached()
        self._kept = fields
        self.version = b""
        return None

    def learn(self, version: bytes, fields: Mapping[str, bytes]) -> None:
        """Take over what other replicas have changed; what has changed here and is not kept yet stays."""
        kept, self.version = self._kept, version
        theirs = {name: value for name, value in fields.items() if name not in ("version", "owner", "born")}
        changed = {name for name in {*theirs, *kept} if theirs.get(name) != kept.get(name)}
        self._kept = theirs
        if "revision" in changed:
            self.revision = REVISIONS[theirs["revision"].decode()]
        if "client" in changed:
            self._client_text = theirs["client"]
            self.client = self._clients = Client(*orjson.loads(self._client_text))
        if "phase" in changed and self.phase is not Phase.CLOSED:
            self.phase = Phase[theirs["phase"].decode()]
        if "level" in changed:
            self.log_level = theirs["level"].decode() or None
        self.home = theirs["home"].decode() if theirs["home"] != self._link.id.encode() else ""
        watched = {name: name[len(WATCHED) :] for name in changed if name.startswith(WATCHED)}
        if watched:
            coming = {uri for name, uri in watched.items() if name in theirs}
            self.subscriptions = self.subscriptions.difference(watched.values()) | coming

    # ── what the client says, to whichever replica it concerns ───────────────────────────────────────────────────

    async def answered(self, message: Response | ErrorResponse) -> None:
        """Hand an answer to whoever asked: here, or the replica that the question's id names.

        Raises: StoreAway.
        """
        replica = self._elsewhere(message.id)
        if self.peer.answered(message) or replica is None or message.id is None:
            return
        if isinstance(message, Response):
            body = encode_result(message.id, message.result)
        else:
            body = encode_error(message.id, message.error)
        await self.send(replica, "answer", body)

    async def unreadable(self, id: Id, error: RpcError) -> None:
        """An answer came that is none: whoever waits for it is told so.

        Raises: StoreAway.
        """
        replica = self._elsewhere(id)
        if not self.peer.fail(id, error) and replica is not None:
            await self.send(replica, "answer", encode_error(id, error))

    async def cancelled(self, id: Any, reason: str | None) -> None:
        """Cancel a call, wherever it is served.

        Raises: StoreAway.
        """
        if not self.peer.cancel(id, reason) and type(id) in (int, str):
            body = encode([id, reason])
            await self._link.run(scripts.BROADCAST, self._link.id, self.id, "cancel", body)

    async def send(self, replica: str, kind: str, body: bytes) -> bool:
        """Put something into another replica's inbox; False when that replica is gone.

        Raises: StoreAway; also where too much is there that the replica has not taken.
        """
        given = (replica, self.id, kind, body, self._link.token(), MOST_INBOX_BYTES)
        done = await self._link.run(scripts.SEND, *given)
        if done < 0:
            raise StoreAway("Too much waits for the replica that has this session's stream; try again in a moment")
        return bool(done)

    def _elsewhere(self, id: Id | None) -> str | None:
        if not isinstance(id, str):
            return None
        replica, dash, _ = id.partition("-")
        return replica if dash and replica != self._link.id and replica.isascii() and replica.isalnum() else None

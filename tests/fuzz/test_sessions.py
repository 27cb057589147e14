"""Sessions over HTTP as a machine: whatever clients do, in any order, a session is its owner's, and lives or is over.

Opened, used, listened to, resumed, left idle and ended by two users; in memory, and over Redis where every request may
reach another replica. What must never stand here: a clock that passes by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mcpkit.protocol.changes import Notice
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from mcpkit.sessions.memory import MemoryStore
from mcpkit.sessions.redis_replica import Replica
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from mcpkit.transports.gate import Gate
from mcpkit.transports.streamable_http import McpEndpoint
from tests.fixtures.redis_server import redis_server
from tests.transports.asgi_client import Call, SessionWire, Wire, notification, request
from tests.transports.doors import House, call

USERS = ("ada", "bob")
MOST, IDLE = 4, 60.0
users = st.sampled_from(USERS)
mine = st.sampled_from([True, True, True, True, False])
picks = st.integers(0, 2)


async def by_name(headers: Mapping[str, str]) -> Principal:
    """Whoever says a name is let in."""
    name = headers.get("authorization", "")
    if name not in USERS:
        raise Refused(401, "who are you?")
    return Principal(name)


@dataclass
class Known:
    """What the model knows of a session."""

    id: str
    owner: str
    alive: bool = True
    seen: float = 0.0
    told: list[str] = field(default_factory=list)
    """What its stream has been told since somebody first listened."""
    place: int = 0
    """How much of it the client has."""
    event: str = ""
    """The id of the last event that the client has."""


class Sessions(RuleBasedStateMachine):
    """The rules of one store in memory."""

    replicas = 1

    def __init__(self) -> None:
        super().__init__()
        self.now = self.swept = 1000.0
        self.known: list[Known] = []
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.turn = 0

    # ── the house ────────────────────────────────────────────────────────────────────────────────────────────────

    @initialize()
    def build(self) -> None:
        self.runner.run(self.begin())

    async def begin(self) -> None:
        self.homes = [House() for _ in range(self.replicas)]
        self.stores: list[SessionStore] = [await self.store(home) for home in self.homes]
        gate = Gate(Settings(), by_name)
        self.wires = [
            Wire(McpEndpoint(home.kernel, store, gate, Settings()))
            for home, store in zip(self.homes, self.stores, strict=True)
        ]

    async def store(self, home: House) -> SessionStore:
        return MemoryStore(most=MOST, idle_seconds=IDLE, clock=lambda: self.now)

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    # ── what clients do ──────────────────────────────────────────────────────────────────────────────────────────

    def session(self, pick: int) -> Known:
        """One of the last few; the older ones are mostly over."""
        return self.known[-1 - pick % len(self.known)]

    def wire(self, session: Known, user: str) -> tuple[SessionWire, dict[str, str | None]]:
        """The way to a session as that user; through one replica after the other."""
        self.turn += 1
        wire = SessionWire(self.wires[self.turn % len(self.wires)], session.id, NEWEST_HANDSHAKE.name)
        if user == session.owner and session.alive:
            session.seen = self.now
        return wire, {"authorization": user}

    def reaches(self, session: Known, user: str) -> bool:
        return session.alive and user == session.owner

    @rule(user=users, listens=st.booleans())
    def open(self, user: str, listens: bool) -> None:
        alive = [session for session in self.known if session.alive]
        idle = [session for session in alive if session.seen < self.now - IDLE]
        full = len(alive) >= MOST and not (idle and self.now - self.swept >= 1)
        if len(alive) >= MOST and self.now - self.swept >= 1:
            self.sweep()
        self.turn += 1
        answer = self.runner.run(self.shake(self.wires[self.turn % len(self.wires)], user))
        if full and self.replicas == 1:
            assert answer.status == 503
            assert "retry-after" in answer.headers
        else:
            assert answer.status == 200, answer.body
            session = Known(answer.headers["mcp-session-id"], user, seen=self.now)
            assert session.id not in {each.id for each in self.known}
            self.known.append(session)
            if listens:
                self.listen(0, True, "")

    async def shake(self, wire: Wire, user: str) -> Call:
        client = {"name": "c", "version": "1"}
        params = {"protocolVersion": NEWEST_HANDSHAKE.name, "capabilities": {}, "clientInfo": client}
        answer = await wire.ask(request("initialize", params, id=0), {"authorization": user})
        if answer.status == 200:
            session = SessionWire(wire, answer.headers["mcp-session-id"], NEWEST_HANDSHAKE.name)
            told = await session.ask(notification("notifications/initialized"), {"authorization": user})
            assert told.status == 202
        return answer

    @precondition(lambda self: self.known)
    @rule(pick=picks, mine=mine)
    def use(self, pick: int, mine: bool) -> None:
        """A call; to anybody but the owner, and after the end, the session is unknown (SHL-48, SESS-03)."""
        session = self.session(pick)
        user = session.owner if mine else next(other for other in USERS if other != session.owner)
        wire, who = self.wire(session, user)
        answer = self.runner.run(wire.ask(call("add", a=pick, b=1), who))
        if self.reaches(session, user):
            assert answer.json["result"]["content"][0]["text"] == str(pick + 1)
        else:
            self.unknown(answer, wire, who)

    def unknown(self, answer: Call, wire: SessionWire, who: Any) -> None:
        """There is nothing to tell it apart from one that never was."""
        never = SessionWire(wire.wire, "never", NEWEST_HANDSHAKE.name)
        other = self.runner.run(never.ask(call("add", a=1, b=1), who))
        assert (answer.status, answer.body) == (other.status, other.body)
        assert answer.status == 404

    @precondition(lambda self: self.known)
    @rule(pick=picks, mine=mine)
    def delete(self, pick: int, mine: bool) -> None:
        session = self.session(pick)
        user = session.owner if mine else next(other for other in USERS if other != session.owner)
        wire, who = self.wire(session, user)
        answer = self.runner.run(self.deleted(wire, who))
        assert answer.status == (204 if self.reaches(session, user) else 404)
        session.alive = session.alive and user != session.owner

    async def deleted(self, wire: SessionWire, who: Any) -> Call:
        return await wire.wire.send("DELETE", wire.headers(who)).done()

    @precondition(lambda self: self.known)
    @rule(pick=picks, mine=mine, after=st.sampled_from(["", "kept", "kept", "kept", "1-999", "nonsense", "0-"]))
    def listen(self, pick: int, mine: bool, after: str) -> None:
        """GET the stream, anew or after the last event: what was missed comes, in order, once (SHL-31, SHL-32)."""
        session = self.session(pick)
        user = session.owner if mine else next(other for other in USERS if other != session.owner)
        wire, who = self.wire(session, user)
        given = session.event if after == "kept" else after
        answer = self.runner.run(self.listened(wire, who, session, given, self.reaches(session, user)))
        if answer is not None:
            bogus = bool(given) and given != session.event
            assert answer.status == (400 if self.reaches(session, user) and bogus else 404), answer.body

    async def listened(self, wire: SessionWire, who: Any, session: Known, after: str, mine: bool) -> Call | None:
        stream = wire.get({**who, **({"last-event-id": after} if after else {})})
        if not mine or (after and after != session.event):
            return await stream.done()
        if not after:
            session.event = (await stream.event()).id or ""
        for uri in session.told[session.place :]:
            event = await stream.event()
            assert orjson.loads(event.data)["params"] == {"uri": uri}
            session.event = event.id or session.event
        session.place = len(session.told)
        await stream.until(lambda: bool(stream.pieces))
        stream.disconnect()
        assert await stream.messages() == [], "more than was missed"
        return None

    @precondition(lambda self: any(session.alive and session.event for session in self.known))
    @rule(pick=picks, number=st.integers(1, 3), back=st.booleans())
    def publish(self, pick: int, number: int, back: bool) -> None:
        """Something changes that one session has subscribed to; no other may hear of it (SESS-06)."""
        listening = [session for session in self.known if session.alive and session.event]
        session = listening[pick % len(listening)]
        for _ in range(number):
            session.told.append(f"file:///{session.id}/{len(session.told)}")
            self.runner.run(self.published(session, session.told[-1]))
        if back:
            self.listen(len(self.known) - 1 - self.known.index(session), True, "kept")

    async def published(self, session: Known, uri: str) -> None:
        found = await self.stores[0].get(session.id, Principal(session.owner))
        assert found is not None
        session.seen = self.now
        await found.watch(uri)
        await found.keep()
        self.homes[0].kernel.changes.publish(Notice.updated(uri))
        await asyncio.sleep(0)

    @rule(seconds=st.sampled_from([0.5, 20.0, 45.0, 61.0]))
    def idle(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        """Whoever was idle for too long is gone, nobody else."""
        ended = self.runner.run(self.stores[0].sweep())
        self.swept = self.now
        gone = [session for session in self.known if session.alive and session.seen < self.now - IDLE]
        assert ended == len(gone)
        for session in gone:
            session.alive = False

    @invariant()
    def the_count_is_right(self) -> None:
        if self.replicas == 1 and self.known:
            assert self.stores[0].count == sum(session.alive for session in self.known)


def test_sessions_in_memory() -> None:
    """SHL-41 to SHL-50, SESS-02 to SESS-06, STEST-02."""
    run_state_machine_as_test(Sessions, settings=settings(max_examples=100, stateful_step_count=40))


@pytest.mark.redis
@pytest.mark.slow
def test_sessions_over_two_replicas() -> None:
    """The same over Redis: each request reaches the other replica than the one before."""
    with TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:

        class Replicated(Sessions):
            replicas = 2

            async def store(self, home: House) -> SessionStore:
                replica = Replica(redis.url, most=10_000, idle_seconds=3600)
                await self.stack.enter_async_context(replica.running(home.kernel.changes))
                return replica.store

            @rule(seconds=st.just(0.0))
            def idle(self, seconds: float) -> None:
                """Redis has its own clock."""

            @rule()
            def sweep(self) -> None:
                """As above."""

        run_state_machine_as_test(Replicated, settings=settings(max_examples=8, stateful_step_count=20))

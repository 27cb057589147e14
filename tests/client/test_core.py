"""One live connection, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcpkit.client.answers import Answers
from mcpkit.client.connection import Connection
from mcpkit.client.core import Core, Setup
from mcpkit.client.era import Agreement, Door, EraMemory
from mcpkit.client.errors import (
    ClientError,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    ServerRefused,
    SessionEnded,
    Timeout,
    Unreachable,
)
from mcpkit.client.identity import Identity
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from mcpkit.client.target import Reach
from mcpkit.client.transports.transport import Call
from mcpkit.client.underway import Manner
from mcpkit.jsonrpc.errors import RpcError
from tests.client.scripted import DISCOVERED, HANDSHAKE, MODERN, FakeTransport, answering, soon, until

PATIENCE = Patience(bounds=Bounds(attempts=3), deadlines=Deadlines(handshake=1.0), pauses=Pauses(first=0.0, most=0.0))
Row = Callable[[dict[str, Any]], Any]


class Peer:
    """A server that can be lost and found; every connection is a new transport."""

    def __init__(self, row: Row = lambda params: {"ok": True}, *, patience: Patience = PATIENCE) -> None:
        self.row = row
        self.transports: list[FakeTransport] = []
        self.opening: list[Exception] = []
        self.memory = EraMemory()
        reach = Reach("peer", "key", (Door("http", self._make),))
        self.core = Core(Setup(reach, Identity(), Answers(), patience, "auto", self.memory))

    def _make(self) -> FakeTransport:
        peer = self

        class Made(FakeTransport):
            async def open(self, receive: Any, lost: Any) -> None:
                await super().open(receive, lost)
                if peer.opening:
                    raise peer.opening.pop(0)

        self.transports.append(Made(answering({"m": self._asked})))
        return self.transports[-1]

    def _asked(self, params: dict[str, Any]) -> Any:
        return self.row(params)

    async def ask(self, **manner: Any) -> dict[str, Any]:
        return await soon(self.core.request("m", {}, Manner(**manner)))

    def count(self) -> int:
        """How often the method was called, over all connections."""
        return sum(transport.methods().count("m") for transport in self.transports)


def failing(*errors: Exception) -> Row:
    """Fails with one after the other, then works."""
    queue = list(errors)

    def row(params: dict[str, Any]) -> dict[str, Any]:
        if queue:
            raise queue.pop(0)
        return {"ok": True}

    return row


async def test_connected_when_needed_and_once() -> None:
    """A thousand first calls make one connection, which every one of them uses."""
    peer = Peer()
    answers = await soon(asyncio.gather(*(peer.core.request("m", {}, Manner()) for _ in range(1000))))
    assert len(answers) == peer.count() == 1000
    assert len(peer.transports) == 1
    await soon(peer.core.close())
    assert peer.transports[0].close_count


async def test_a_caller_that_goes_takes_nobody_along() -> None:
    """No cancel scope: the connection belongs to the client, not to the task that happened to need it first."""
    go = asyncio.Event()
    peer = Peer()

    class Slow(FakeTransport):
        async def open(self, receive: Any, lost: Any) -> None:
            await go.wait()
            await super().open(receive, lost)

    def make() -> FakeTransport:
        peer.transports.append(Slow(answering({"m": lambda _: {"ok": True}})))
        return peer.transports[-1]

    peer.core.setup.reach = Reach("slow", None, (Door("http", make),))
    first = asyncio.create_task(peer.core.request("m", {}, Manner()))
    second = asyncio.create_task(peer.core.request("m", {}, Manner()))
    await until(lambda: peer.transports)
    first.cancel()
    await asyncio.wait({first}, timeout=5)
    assert first.cancelled()
    go.set()
    assert await soon(second) == {"ok": True}
    assert len(peer.transports) == 1
    await soon(peer.core.close())


async def test_closed_from_any_task() -> None:
    """Also while it connects, also twice; then nothing goes any more, until it is opened again."""
    peer = Peer()
    await peer.ask()
    await soon(asyncio.create_task(peer.core.close()))
    await soon(peer.core.close())
    with pytest.raises(ConnectionLost) as lost:
        await peer.ask()
    assert not lost.value.sent
    peer.core.reopen()
    assert await peer.ask() == {"ok": True}
    await soon(peer.core.close())
    stuck = Peer()
    stuck.core.setup.reach = Reach("stuck", None, (Door("http", lambda: _Stuck(answering({}))),))
    waiting = asyncio.create_task(stuck.core.request("m", {}, Manner()))
    await asyncio.sleep(0)
    await soon(stuck.core.close())
    with pytest.raises((ClientError, asyncio.CancelledError)):
        await soon(waiting)


class _Stuck(FakeTransport):
    async def open(self, receive: Any, lost: Any) -> None:
        await asyncio.Event().wait()


# ── healing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_forgotten_session_is_begun_anew() -> None:
    """SHL-45: once, and the request with it, since it was not served."""
    peer = Peer(failing(SessionEnded()))
    assert await peer.ask() == {"ok": True}
    assert len(peer.transports) == 2
    peer = Peer(failing(SessionEnded(), SessionEnded(), SessionEnded()))
    with pytest.raises(SessionEnded):
        await peer.ask()
    assert peer.count() == 2
    await soon(peer.core.close())


async def test_many_calls_lose_one_session() -> None:
    """A hundred refusals make one new connection."""
    lost = set()

    def row(params: dict[str, Any]) -> dict[str, Any]:
        if params["n"] not in lost:
            lost.add(params["n"])
            raise SessionEnded
        return params

    peer = Peer(row)
    calls = [peer.core.request("m", {"n": n}, Manner()) for n in range(100)]
    answers = await soon(asyncio.gather(*calls))
    assert [answer["n"] for answer in answers] == list(range(100))
    assert len(peer.transports) == 2
    await soon(peer.core.close())


@pytest.mark.parametrize(
    ("error", "repeatable", "again"),
    [
        (ConnectionLost("x", sent=False), False, True),
        (ConnectionLost("x", sent=True), False, False),
        (ConnectionLost("x", sent=True), True, True),
        (Unreachable("x"), False, True),
        (HttpRefused(503, "x"), False, True),
        (HttpRefused(429, "x", retry_after=0.0), False, True),
        (HttpRefused(502, "x"), False, False),
        (HttpRefused(502, "x"), True, True),
        (HttpRefused(400, "x"), True, False),
        (Timeout("x"), True, False),
        (ProtocolViolation("x"), True, False),
        (ServerRefused(RpcError(-32603, "x")), True, False),
    ],
)
async def test_what_is_sent_again(error: ClientError, repeatable: bool, again: bool) -> None:
    """SHM-09, TCLI-03: what was certainly not served, always; what may have been, only where that does no harm."""
    peer = Peer(failing(error))
    if again:
        assert await peer.ask(repeatable=repeatable) == {"ok": True}
    else:
        with pytest.raises(type(error)):
            await peer.ask(repeatable=repeatable)
    assert peer.count() == (2 if again else 1)
    await soon(peer.core.close())


@pytest.mark.parametrize("error", [ConnectionLost("x"), Unreachable("x"), HttpRefused(503, "x")])
async def test_but_not_for_ever(error: ClientError) -> None:
    """Attempts are bounded."""
    peer = Peer(failing(*[error] * 20))
    with pytest.raises(type(error)):
        await peer.ask(repeatable=True)
    assert peer.count() <= 3
    await soon(peer.core.close())


async def test_one_lost_call_is_not_a_lost_connection() -> None:
    """Over HTTP each call has a connection of its own: the others go on."""
    go = asyncio.Event()

    async def row(params: dict[str, Any]) -> dict[str, Any]:
        if params.get("bad"):
            raise ConnectionLost("mine")
        await go.wait()
        return {"ok": True}

    peer = Peer(row)
    good = asyncio.create_task(peer.core.request("m", {}, Manner()))
    with pytest.raises(ConnectionLost):
        await soon(peer.core.request("m", {"bad": True}, Manner()))
    go.set()
    assert await soon(good) == {"ok": True}
    assert len(peer.transports) == 1
    await soon(peer.core.close())


async def test_a_lost_connection_is_made_anew() -> None:
    """STDIO-43: at the next call; what has to be restored is, before it."""
    peer, restored = Peer(), list[Connection]()

    async def restore(connection: Connection) -> None:
        restored.append(connection)

    peer.core.restore.append(restore)
    await peer.ask()
    peer.transports[0].lost(ConnectionLost("died"))
    assert await peer.ask() == {"ok": True}
    assert len(peer.transports) == len(restored) == 2
    await until(lambda: peer.transports[0].close_count)
    await soon(peer.core.close())


async def test_a_listener_does_not_wait_for_the_next_call() -> None:
    """Someone who waits to be told has the connection made anew at once."""
    peer = Peer()
    await peer.ask()
    peer.core.listeners = 1
    peer.transports[0].lost(ConnectionLost("died"))
    await until(lambda: len(peer.transports) == 2)
    peer.opening = [Unreachable("gone")] * 10
    peer.transports[1].lost(ConnectionLost("died"))
    await until(lambda: len(peer.transports) > 2)
    await soon(peer.core.close())


async def test_a_listener_outlasts_a_long_outage() -> None:
    """A call is given up after some attempts; who wants to be told of changes has nobody to tell it to."""
    peer = Peer()
    await peer.ask()
    peer.core.listeners = 1
    peer.opening = [Unreachable("gone")] * (5 * peer.core.setup.patience.bounds.attempts)
    peer.transports[0].lost(ConnectionLost("died"))
    await until(lambda: not peer.opening and peer.core.live is not None and peer.core.live.lost is None)
    assert await peer.ask() == {"ok": True}
    await soon(peer.core.close())


async def test_a_server_that_always_dies_is_given_up() -> None:
    """STDIO-44: bounded restarts, and then a clear error; a later call may try again."""

    def dies(params: dict[str, Any]) -> dict[str, Any]:
        error = ConnectionLost("died")
        peer.transports[-1].lost(error)
        raise error

    peer = Peer(dies)
    for _ in range(4):
        with pytest.raises(ConnectionLost):
            await peer.ask()
    with pytest.raises(Unreachable, match="4 times in a row: died"):
        await peer.ask()
    peer.row = lambda _: {"ok": True}
    assert await peer.ask() == {"ok": True}
    await soon(peer.core.close())


async def test_a_restart_is_waited_for_but_not_a_stranger() -> None:
    """A server that was there is given some attempts; one that never was is reported at once."""
    peer = Peer()
    peer.opening = [Unreachable("no")]
    with pytest.raises(Unreachable):
        await peer.ask()
    assert len(peer.transports) == 1
    await peer.ask()
    peer.transports[-1].lost(ConnectionLost("restart"))
    peer.opening = [Unreachable("no"), Unreachable("no")]
    assert await peer.ask() == {"ok": True}
    peer.transports[-1].lost(ConnectionLost("gone"))
    peer.opening = [Unreachable("no")] * 10
    with pytest.raises(Unreachable):
        await peer.ask()
    await soon(peer.core.close())


# ── the revision ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_agreement_is_remembered_and_doubted() -> None:
    """DCLI-06, TCLI-04: used next time; forgotten and asked anew when it fails."""
    peer = Peer()
    await peer.ask()
    assert peer.memory.recall("key") == Agreement("http", MODERN)
    peer.memory.remember("key", Agreement("http", HANDSHAKE))
    peer.transports[-1].lost(ConnectionLost("x"))
    assert await peer.ask() == {"ok": True}
    assert peer.transports[1].methods() == ["initialize"]
    assert peer.transports[2].methods() == ["server/discover", "m"]
    assert peer.memory.recall("key") == Agreement("http", MODERN)
    await soon(peer.core.close())


async def test_a_revision_refused_midway() -> None:
    """NEG-03: on any request; retried once with one that the server lists."""
    listed = {"supported": [MODERN], "requested": MODERN}
    refusal = ServerRefused(RpcError(-32022, "no", listed), status=400)
    peer = Peer(failing(refusal))
    assert await peer.ask() == {"ok": True}
    peer.row = failing(refusal, refusal)
    with pytest.raises(ServerRefused):
        await peer.ask()
    await soon(peer.core.close())


async def test_notifications_and_the_name_of_the_server() -> None:
    """What handlers show of who asks is what the server calls itself, made safe."""
    peer = Peer()
    await soon(peer.core.notify("notifications/x", {}))
    assert peer.core.setup.answers.server == DISCOVERED["_meta"]["io.modelcontextprotocol/serverInfo"]["name"]
    heard: list[str] = []
    peer.core.told.append(lambda _, note: heard.append(note.method))
    peer.transports[0].tell("notifications/y", {})
    assert heard == ["notifications/y"]
    await soon(peer.core.close())


async def test_a_failed_restoration_closes_what_was_opened() -> None:
    """Nothing half-made is kept."""
    peer = Peer()

    async def fails(connection: Connection) -> None:
        raise ProtocolViolation("no")

    restore: Callable[[Connection], Awaitable[None]] = fails
    peer.core.restore.append(restore)
    with pytest.raises(ProtocolViolation):
        await peer.ask()
    assert peer.transports[0].close_count
    assert peer.core.live is None
    await soon(peer.core.close())


async def test_the_call_sees_its_own_id() -> None:
    """A subscription is told apart by the id of its request."""
    seen: list[Call] = []
    peer = Peer()
    await peer.ask(sent=seen.append)
    assert seen[0].id is not None
    await soon(peer.core.close())

"""Which revision is spoken, and through which door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mcpkit.client.answers import Answers
from mcpkit.client.connection import Connection
from mcpkit.client.era import Agreement, Door, EraMemory, agree, check_mode, mutual, stamp
from mcpkit.client.errors import (
    AuthorizationFailed,
    ClientError,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    ServerRefused,
    Timeout,
    Unreachable,
    Unsupported,
)
from mcpkit.client.identity import Identity
from mcpkit.client.limits import Deadlines, Patience
from mcpkit.client.transports.transport import Call
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import Notification
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, REVISIONS
from tests.client.scripted import DISCOVERED, HANDSHAKE, MODERN, FakeTransport, soon

OLDER = list(REVISIONS)[2]
INITIALIZED = {"protocolVersion": HANDSHAKE, "capabilities": {}, "serverInfo": {"name": "old"}}
Answer = dict[str, Any] | Exception


def refused(code: int, status: int | None = None, data: Any = None) -> ServerRefused:
    return ServerRefused(RpcError(code, "no", data), status=status)


class House:
    """A server with doors; each answers ``server/discover`` and ``initialize``, with one answer after the other."""

    def __init__(self, **doors: tuple[list[Answer] | Answer, list[Answer] | Answer]) -> None:
        self.transports: list[FakeTransport] = []
        self.doors = [Door(kind, self._maker(*answers)) for kind, answers in doors.items()]  # type: ignore[arg-type]
        self.patience = Patience(deadlines=Deadlines(probe=0.05, handshake=0.5))

    def _maker(self, discover: list[Answer] | Answer, initialize: list[Answer] | Answer) -> Callable[[], FakeTransport]:
        queues = {
            "server/discover": discover if isinstance(discover, list) else [discover] * 5,
            "initialize": initialize if isinstance(initialize, list) else [initialize] * 5,
        }

        async def answer(call: Call) -> dict[str, Any]:
            found = queues[call.method].pop(0)
            if isinstance(found, Timeout):
                return await asyncio.Event().wait()  # type: ignore[return-value]
            if isinstance(found, Exception):
                raise found
            return found

        def make() -> FakeTransport:
            self.transports.append(FakeTransport(answer))
            return self.transports[-1]

        return make

    async def connect(self, door: Door) -> Connection:
        transport = door.make()
        connection = Connection(transport, Identity(), Answers(roots=[]), self.patience, lambda *_: None)
        await connection.open()
        return connection

    async def agree(self, mode: str = "auto", known: Agreement | None = None) -> tuple[str, str]:
        connection, door = await soon(agree(self.connect, self.doors, mode, known))
        return door.kind, connection.spoken.name

    def methods(self) -> list[list[str]]:
        return [transport.methods() for transport in self.transports]


# ── found out ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_of_the_newest_era() -> None:
    """DCLI-01, DISC-02: asked first, described by its answer."""
    house = House(http=(DISCOVERED, INITIALIZED))
    connection, _ = await soon(agree(house.connect, house.doors, "auto", None))
    assert connection.spoken is NEWEST
    assert connection.server.server_info.name == "scripted"
    assert connection.server.protocol_version == MODERN
    assert house.transports[0].spoken[-1] is NEWEST
    sent = house.transports[0].calls[0].params["_meta"]
    assert sent["io.modelcontextprotocol/protocolVersion"] == MODERN
    assert sent["io.modelcontextprotocol/clientInfo"]["name"] == "mcpkit"
    assert sent["io.modelcontextprotocol/clientCapabilities"] == {}


@pytest.mark.parametrize(
    "probe",
    [
        refused(-32601),
        refused(-32600, 400),
        refused(-32602, 400),
        refused(-32000, 400),
        HttpRefused(400, "no"),
        HttpRefused(404, "no"),
        HttpRefused(405, "no"),
        HttpRefused(415, "no"),
        ProtocolViolation("a page"),
        Timeout("silence"),
        {**DISCOVERED, "supportedVersions": [OLDER, "2031-01-01"]},
        refused(-32022, 400, {"supported": [OLDER]}),
    ],
)
async def test_a_server_of_the_handshake_era(probe: Answer) -> None:
    """DCLI-02, DCLI-03, DCLI-07: whatever it answers, in whatever code, or not at all."""
    house = House(http=(probe, INITIALIZED))
    assert await house.agree() == ("http", HANDSHAKE)
    transport = house.transports[0]
    assert transport.methods() == ["server/discover", "initialize"]
    assert transport.calls[1].params == {
        "protocolVersion": HANDSHAKE,
        "capabilities": {},
        "clientInfo": {"name": "mcpkit", "version": "0.1.0"},
    }
    assert not transport.calls[1].cancellable, "INIT-12"
    assert transport.sent == [Notification("notifications/initialized", {})], "INIT-03"
    assert transport.listen_count == 1
    assert transport.spoken[-2:] == [None, NEWEST_HANDSHAKE]


@pytest.mark.parametrize(
    ("probe", "error"),
    [
        (Unreachable("no"), Unreachable),
        (ConnectionLost("cut"), ConnectionLost),
        (AuthorizationFailed("401"), AuthorizationFailed),
        (HttpRefused(500, "no"), HttpRefused),
        (HttpRefused(429, "no"), HttpRefused),
        (refused(-32603, 500), ServerRefused),
        (refused(-32020, 400), ServerRefused),
        (refused(-32021, 400), ServerRefused),
        (refused(-32022, 400, {"supported": ["2031-01-01"]}), Unsupported),
        ({**DISCOVERED, "supportedVersions": ["2031-01-01"]}, Unsupported),
        ({**DISCOVERED, "supportedVersions": 5}, Unsupported),
    ],
)
async def test_what_is_no_evidence_of_age(probe: Answer, error: type[ClientError]) -> None:
    """DCLI-05, TCLI-03: trouble on the way, refusals of the newest era: no handshake is tried, no other door."""
    house = House(http=(probe, INITIALIZED), sse=(DISCOVERED, INITIALIZED))
    with pytest.raises(error):
        await house.agree()
    assert house.methods() == [["server/discover"]]
    assert house.transports[0].close_count == 1


async def test_a_server_without_discovery() -> None:
    """DCLI-04, DISC-03: 404 with method not found is a server of the newest era that lacks just that."""
    house = House(http=(refused(-32601, 404), INITIALIZED))
    assert await house.agree() == ("http", MODERN)


async def test_another_revision_of_the_newest_era() -> None:
    """NEG-03: the one the server lists is tried, under a new request, even where it is the one just refused."""
    house = House(http=([refused(-32022, 400, {"supported": [MODERN, OLDER]}), DISCOVERED], INITIALIZED))
    assert await house.agree() == ("http", MODERN)
    assert house.methods() == [["server/discover", "server/discover"]]


async def test_the_offer_may_be_countered() -> None:
    """INIT-07, INIT-09: by a revision that we know; by no other, and never by one of the newest era."""
    house = House(http=(refused(-32601), {**INITIALIZED, "protocolVersion": OLDER}))
    assert await house.agree() == ("http", OLDER)
    for strange in ("2031-01-01", MODERN, None, 5):
        house = House(http=(refused(-32601), {**INITIALIZED, "protocolVersion": strange}))
        with pytest.raises(Unsupported):
            await house.agree()
        assert house.transports[0].close_count == 1


# ── other doors ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "old", [HttpRefused(404, "x"), HttpRefused(405, "x"), HttpRefused(400, "x"), refused(-32600, 400)]
)
async def test_the_older_transport_is_the_last_resort(old: Answer) -> None:
    """TCLI-02, DCLI-04: when not even initialize is understood."""
    house = House(http=(HttpRefused(404, "no"), old), sse=(RuntimeError("never asked"), INITIALIZED))
    assert await house.agree() == ("sse", HANDSHAKE)
    assert house.methods() == [["server/discover", "initialize"], ["initialize"]]
    assert house.transports[0].close_count == 1


async def test_the_first_refusal_is_told() -> None:
    """When no door opens, the first one's answer says most."""
    house = House(http=(HttpRefused(404, "first"), HttpRefused(404, "post")), sse=({}, HttpRefused(404, "get")))
    with pytest.raises(HttpRefused, match="post"):
        await house.agree()
    assert all(transport.close_count for transport in house.transports)


async def test_a_process_that_dies_of_the_question() -> None:
    """DCLI-10's mirror: an old stdio server may end at what it does not know; it is started again and not asked."""
    house = House(stdio=(ConnectionLost("died"), INITIALIZED))
    assert await house.agree() == ("stdio", HANDSHAKE)
    assert house.methods() == [["server/discover"], ["initialize"]]


async def test_a_late_change_of_mind() -> None:
    """DCLI-09: initialize is refused by a server that turns out to be of the newest era."""
    house = House(http=([Timeout("slow"), DISCOVERED], refused(-32022, 400, {"supported": [MODERN]})))
    assert await house.agree() == ("http", MODERN)


async def test_a_refused_notification_is_borne() -> None:
    """The handshake is done when it is answered."""
    house = House(http=(refused(-32601), INITIALIZED))

    async def grumpy(message: object) -> None:
        raise HttpRefused(400, "no")

    make = house.doors[0].make

    def made() -> FakeTransport:
        transport = make()
        assert isinstance(transport, FakeTransport)
        transport.send = grumpy  # type: ignore[method-assign]
        return transport

    house.doors = [Door("http", made)]
    assert await house.agree() == ("http", HANDSHAKE)


# ── forced and remembered ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["legacy", HANDSHAKE, OLDER])
async def test_a_forced_handshake(mode: str) -> None:
    """No probe; the very revision is offered."""
    offered = HANDSHAKE if mode == "legacy" else mode
    house = House(http=(RuntimeError("never"), {**INITIALIZED, "protocolVersion": offered}))
    assert await house.agree(mode) == ("http", offered)
    assert house.transports[0].calls[0].params["protocolVersion"] == offered


@pytest.mark.parametrize("probe", [refused(-32601), refused(-32601, 404), DISCOVERED])
async def test_a_forced_envelope(probe: Answer) -> None:
    """DISC-03: a server without discovery is taken at the caller's word."""
    assert await House(http=(probe, INITIALIZED)).agree(MODERN) == ("http", MODERN)


@pytest.mark.parametrize("probe", [refused(-32600, 400), HttpRefused(404, "x"), Timeout("x"), ProtocolViolation("x")])
async def test_a_forced_envelope_never_falls_back(probe: Answer) -> None:
    """What was forced is not negotiable."""
    house = House(http=(probe, INITIALIZED))
    with pytest.raises(ClientError):
        await house.agree(MODERN)
    assert house.methods() == [["server/discover"]]
    with pytest.raises(Unsupported, match="HTTP\\+SSE"):
        await House(sse=(DISCOVERED, INITIALIZED)).agree(MODERN)


async def test_what_worked_is_used_again() -> None:
    """DCLI-06, TCLI-04: no probe of a server known to be old, no detour through a door known to be closed."""
    house = House(http=(RuntimeError("never"), RuntimeError("never")), sse=({}, INITIALIZED))
    assert await house.agree(known=Agreement("sse", HANDSHAKE)) == ("sse", HANDSHAKE)
    house = House(http=(DISCOVERED, INITIALIZED))
    assert await house.agree(known=Agreement("http", MODERN)) == ("http", MODERN)
    house = House(stdio=(DISCOVERED, INITIALIZED))
    assert await house.agree(known=Agreement("sse", HANDSHAKE)) == ("stdio", HANDSHAKE), "that door is no more"


def test_memory() -> None:
    """By whatever the caller takes for the server's name."""
    memory = EraMemory()
    assert memory.recall("a") is None
    memory.remember("a", Agreement("http", MODERN))
    assert memory.recall("a") == Agreement("http", MODERN)
    memory.forget("a")
    memory.forget("a")
    assert memory.recall("a") is None


def test_modes() -> None:
    """A mode that is none is told with those that are."""
    for mode in ("auto", "legacy", *REVISIONS):
        check_mode(mode)
    with pytest.raises(ValueError, match=f"auto, legacy or one of {MODERN}"):
        check_mode("newest")


def test_stamps() -> None:
    """META-10, META-13: with the log level where one is wanted; nothing in the handshake era."""
    connection = Connection(FakeTransport(None), Identity(log_level="info"), Answers(), Patience(), lambda *_: None)  # type: ignore[arg-type]
    assert stamp(connection, NEWEST)["io.modelcontextprotocol/logLevel"] == "info"
    assert stamp(connection, NEWEST_HANDSHAKE) == {}


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (refused(-32022, 400, {"supported": ["x", MODERN]}), MODERN),
        (refused(-32022, 400, {"supported": [HANDSHAKE]}), None),
        (refused(-32022, 400, {"supported": "x"}), None),
        (refused(-32022, 400, [MODERN]), None),
        (refused(-32602, 400, {"supported": [MODERN]}), None),
    ],
)
def test_mutual_revisions(error: ServerRefused, name: str | None) -> None:
    """NEG-03."""
    found = mutual(error)
    assert (found.name if found is not None else None) == name

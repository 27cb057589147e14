"""Being told of changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.client import MCPClient
from mcpkit.client.errors import ConnectionLost, ServerRefused, Timeout
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from mcpkit.client.listening import Listening, Subjects
from mcpkit.client.notices import Change
from tests.client.scripted import HANDSHAKE, HASTE, FakeTransport, Rows, answering, soon, until

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


class Feed:
    """A server of the newest era with listen streams, which the test ends as it likes."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.transports: list[FakeTransport] = []
        self.ends: asyncio.Queue[Any] = asyncio.Queue()
        self.acknowledges = acknowledges
        self.ids: list[Any] = []

    def make(self) -> FakeTransport:
        self.transports.append(FakeTransport(answering({"subscriptions/listen": self._listen, "m": lambda _: {}})))
        return self.transports[-1]

    async def _listen(self, params: dict[str, Any]) -> dict[str, Any]:
        self.ids.append(self.transports[-1].calls[-1].id)
        if self.acknowledges:
            honoured = {key: value for key, value in params["notifications"].items() if key != "promptsListChanged"}
            self.tell("notifications/subscriptions/acknowledged", notifications=honoured)
        end = await self.ends.get()
        if isinstance(end, Exception):
            raise end
        return {"resultType": "complete"}

    def tell(self, method: str, id: Any = None, **params: Any) -> None:
        meta = {SUBSCRIPTION: self.ids[-1] if id is None else id}
        self.transports[-1].tell(method, {**params, "_meta": meta})


async def _all(listening: Listening) -> list[Change]:
    return [change async for change in listening]


async def taken(listening: Listening, count: int) -> list[Change]:
    return [await soon(anext(listening)) for _ in range(count)]


async def test_a_stream_of_its_own() -> None:
    """SUB-01 to SUB-06: asked for, acknowledged, told apart by the id of its request, with its type."""
    feed = Feed()
    async with MCPClient(feed.make) as client:
        async with client.listen(tools=True, prompts=True, uris=["a:b"]) as changes:
            assert feed.transports[0].calls[-1].params["notifications"] == {
                "toolsListChanged": True,
                "promptsListChanged": True,
                "resourceSubscriptions": ["a:b"],
            }
            assert changes.acknowledged == {"toolsListChanged": True, "resourceSubscriptions": ["a:b"]}
            for stranger in (feed.ids[0] + 1, str(feed.ids[0]), True):
                feed.tell("notifications/tools/list_changed", id=stranger)
            feed.transports[0].tell("notifications/tools/list_changed", {})
            feed.tell("notifications/resources/list_changed")
            feed.tell("notifications/tools/list_changed")
            feed.tell("notifications/tools/list_changed")
            feed.tell("notifications/resources/updated", uri="a:b")
            feed.tell("notifications/resources/updated", uri="a:c")
            feed.tell("notifications/resources/updated", uri="a:b/part")
            assert await taken(changes, 3) == [
                Change("tools"),
                Change("resource", "a:b"),
                Change("resource", "a:b/part"),
            ]
        with pytest.raises(StopAsyncIteration):
            await soon(anext(changes))


async def test_two_streams_at_once() -> None:
    """SUB-05."""
    feed = Feed()
    async with MCPClient(feed.make) as client, client.listen(tools=True) as one, client.listen(tools=True) as two:
        assert feed.ids[0] != feed.ids[1]
        feed.tell("notifications/tools/list_changed", id=feed.ids[0])
        assert await taken(one, 1) == [Change("tools")]
        waiting = asyncio.create_task(anext(two))
        await asyncio.sleep(0)
        assert not waiting.done()
        feed.tell("notifications/tools/list_changed", id=feed.ids[1])
        assert await soon(waiting) == Change("tools")


@pytest.mark.parametrize("end", ["in order", "broken", "cancelled"])
async def test_an_ended_stream_is_opened_again(end: str) -> None:
    """SUB-07, SUB-08, AMB-01: however it ends; and since a change may have gone by, each subject is told once."""
    feed = Feed()
    async with MCPClient(feed.make, patience=HASTE) as client, client.listen(tools=True, uris=["a:b"]) as changes:
        if end == "cancelled":
            feed.transports[-1].tell("notifications/cancelled", {"requestId": "1"})
            feed.transports[-1].tell("notifications/cancelled", {"requestId": feed.ids[0]})
        else:
            feed.ends.put_nowait(ConnectionLost("cut") if end == "broken" else "done")
        assert await taken(changes, 2) == [Change("tools", missed=True), Change("resource", "a:b", missed=True)]
        assert len(feed.ids) == 2
        feed.tell("notifications/tools/list_changed")
        assert await taken(changes, 1) == [Change("tools")]


async def test_a_lost_connection_is_survived() -> None:
    """SUB-09: nothing is kept by the server, so it is asked again on the new one."""
    feed = Feed()
    async with MCPClient(feed.make, patience=HASTE) as client, client.listen(tools=True) as changes:
        error = ConnectionLost("died")
        feed.transports[0].lost(error)
        feed.ends.put_nowait(error)
        assert await taken(changes, 1) == [Change("tools", missed=True)]
        assert len(feed.transports) == 2


async def test_what_may_have_changed_is_not_answered_from_the_cache() -> None:
    """CACHE-06: a list that was kept is asked for anew when a change of it may have gone by."""
    feed, asked = Feed(), 0

    def listed(params: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"tools": [], "ttlMs": 3_600_000}

    make = feed.make

    def with_tools() -> FakeTransport:
        transport = make()
        rows: Rows = {"subscriptions/listen": feed._listen, "tools/list": listed}
        transport._answer = answering(rows)
        return transport

    async with MCPClient(with_tools, patience=HASTE) as client, client.listen(tools=True) as changes:
        await client.list_tools()
        await client.list_tools()
        assert asked == 1
        feed.ends.put_nowait(None)
        assert await taken(changes, 1) == [Change("tools", missed=True)]
        await client.list_tools()
        assert asked == 2


async def test_a_change_handler_outlasts_a_long_outage() -> None:
    """Streams that can't be had for a while are asked for again, and what may have gone by is told."""
    feed = Feed()
    heard: list[Change] = []

    async def answer(call: Any) -> dict[str, Any]:
        found = await answering({"subscriptions/listen": feed._listen})(call)
        return {**found, "capabilities": {"tools": {"listChanged": True}}}

    transport = FakeTransport(answer)
    feed.transports.append(transport)
    few = Patience(bounds=Bounds(attempts=2), pauses=Pauses(first=0.0, most=0.0))
    async with MCPClient(transport, patience=few, change_handler=heard.append):
        await until(lambda: len(feed.ids) == 1)
        feed.acknowledges = False
        for _ in range(10):
            feed.ends.put_nowait(ConnectionLost("again"))
        await until(feed.ends.empty)
        feed.acknowledges = True
        feed.ends.put_nowait(ConnectionLost("once more"))
        await until(lambda: Change("tools", missed=True) in heard)


async def test_what_is_refused_is_told() -> None:
    """SUB-13: to whoever opens it, and later to whoever iterates; trouble without end too."""
    async with MCPClient(FakeTransport(answering({})), patience=HASTE) as client:
        with pytest.raises(ServerRefused):
            await soon(client.listen(tools=True).__aenter__())
    feed = Feed()
    few = Patience(bounds=Bounds(attempts=2), pauses=Pauses(first=0.0, most=0.0))
    async with MCPClient(feed.make, patience=few) as client, client.listen(tools=True) as changes:
        feed.acknowledges = False
        for _ in range(10):
            feed.ends.put_nowait(ConnectionLost("again"))
        with pytest.raises(ConnectionLost):
            await soon(_all(changes))


async def test_an_acknowledgement_is_not_awaited_for_ever() -> None:
    """SUB-03."""
    feed = Feed(acknowledges=False)
    hurry = Patience(deadlines=Deadlines(handshake=0.05))
    async with MCPClient(feed.make, patience=hurry) as client:
        with pytest.raises(Timeout, match="acknowledge"):
            await soon(client.listen(tools=True).__aenter__())
        assert client._core.told == [client._parts.told]


async def test_closing_ends_the_wait_of_another_task() -> None:
    """Whoever iterates is done, from whatever task it is closed."""
    feed = Feed()
    async with MCPClient(feed.make) as client:
        changes = await soon(client.listen(tools=True).__aenter__())

        collecting = asyncio.create_task(_all(changes))
        await asyncio.sleep(0)
        await soon(changes.close())
        await soon(changes.close())
        assert await soon(collecting) == []


async def test_a_flood_is_bounded() -> None:
    """AVAIL-04: the oldest go first."""
    feed = Feed()
    few = Patience(bounds=Bounds(notices=2))
    async with MCPClient(feed.make, patience=few) as client, client.listen(uris=["a:"]) as changes:
        for part in range(5):
            feed.tell("notifications/resources/updated", uri=f"a:/{part}")
        assert [change.uri for change in await taken(changes, 2)] == ["a:/3", "a:/4"]


async def test_tasks_are_told_of() -> None:
    """TASKE-14: with their whole state."""
    feed = Feed()
    async with MCPClient(feed.make) as client, client.listen(tasks=["t1"]) as changes:
        assert feed.transports[0].calls[-1].params["notifications"] == {"taskIds": ["t1"]}
        feed.tell("notifications/tasks", taskId="t2", status="working")
        feed.tell("notifications/tasks", taskId="t1", status="completed")
        (change,) = await taken(changes, 1)
        assert change.task is not None
        assert change.task["status"] == "completed"


# ── in the handshake era ────────────────────────────────────────────────────────────────────────────────────────────


class Session:
    """A server of the handshake era; every connection is a new session."""

    def __init__(self) -> None:
        self.transports: list[FakeTransport] = []

    def make(self) -> FakeTransport:
        rows: Rows = {"resources/subscribe": lambda _: {}, "resources/unsubscribe": lambda _: {}, "m": lambda _: {}}
        self.transports.append(FakeTransport(answering(rows, modern=False)))
        return self.transports[-1]

    def asked(self, transport: int = -1) -> list[tuple[str, str]]:
        calls = self.transports[transport].calls
        return [(call.method, call.params["uri"]) for call in calls if call.method.startswith("resources/")]


async def test_a_sessions_own_notifications() -> None:
    """LSUB-01, LSUB-02: the same words for the caller; resources are subscribed to and given up again."""
    session = Session()
    async with MCPClient(session.make, mode=HANDSHAKE) as client:
        async with client.listen(tools=True, uris=["a:b"]) as changes:
            assert session.asked() == [("resources/subscribe", "a:b")]
            transport = session.transports[0]
            transport.tell("notifications/prompts/list_changed", {})
            transport.tell("notifications/tools/list_changed", {})
            transport.tell("notifications/resources/updated", {"uri": "a:b"})
            assert await taken(changes, 2) == [Change("tools"), Change("resource", "a:b")]
        assert session.asked()[1:] == [("resources/unsubscribe", "a:b")]


async def test_a_subscription_that_another_needs_is_kept() -> None:
    """Two who listen to one resource, one of whom goes."""
    session = Session()
    async with MCPClient(session.make, mode=HANDSHAKE) as client, client.listen(uris=["a:b"]):
        async with client.listen(uris=["a:b", "a:c"]):
            pass
        assert [uri for method, uri in session.asked() if method == "resources/unsubscribe"] == ["a:c"]


async def test_a_new_session_is_told_at_once() -> None:
    """SHL-45, LSUB-03: re-subscribed without waiting for a call, and what may have changed meanwhile is told."""
    session = Session()
    async with MCPClient(session.make, mode=HANDSHAKE, patience=HASTE) as client:
        async with client.listen(prompts=True, uris=["a:b"]) as changes:
            session.transports[0].lost(ConnectionLost("gone"))
            assert await taken(changes, 2) == [Change("prompts", missed=True), Change("resource", "a:b", missed=True)]
            assert session.asked() == [("resources/subscribe", "a:b")]
            await until(lambda: client._core.live is not None)
            session.transports[-1].lost(ConnectionLost("gone"))
            client._core.listeners = 0
        assert client._core.restore == [client._parts.restore]


def test_subjects() -> None:
    """What is not named is not wanted (SUB-02)."""
    nothing = Subjects()
    assert nothing.to_params() == {"notifications": {}}
    assert not any(nothing.want(Change(kind)) for kind in ("tools", "prompts", "resources", "resource", "task"))
    assert nothing.missed() == []

"""HTTP+SSE: the stream is the session; whatever is posted is answered there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from mcpkit.protocol.changes import TOOLS_CHANGED, Notice
from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST, NEWEST_HANDSHAKE
from mcpkit.sessions.memory import MemoryStore
from mcpkit.sessions.session import Session
from mcpkit.sessions.store import Posted
from tests.transports.asgi_client import Call, Wire, modern, notification, request
from tests.transports.doors import PROGRESS, House, call, house

OLDEST = HANDSHAKES[-1].name
SUM = call("add", a=2, b=3)


class Sse:
    """A client of HTTP+SSE."""

    def __init__(self, home: House, stream: Call, path: str) -> None:
        self.home = home
        self.stream = stream
        self.path = path

    async def post(self, message: Any, headers: dict[str, str | None] | None = None) -> Call:
        """POST to the announced URI, as old clients do: any Accept, no session header."""
        return await self.home.wire.ask(message, {"accept": "*/*", **(headers or {})}, path=self.path)

    async def ask(self, message: Any) -> Any:
        """POST a request and take its answer from the stream."""
        accepted = await self.post(message)
        assert (accepted.status, accepted.body) == (202, b"")
        return await self.hear()

    async def hear(self) -> Any:
        event = await self.stream.event()
        assert event.event == "message"
        return orjson.loads(event.data)


@asynccontextmanager
async def connected(home: House | None = None, revision: str | None = OLDEST) -> AsyncIterator[Sse]:
    """A client with an open stream, after the handshake unless ``revision`` is None."""
    home = home or house()
    stream = Wire(home.endpoint.sse, "/sse").send("GET", {"accept": "text/event-stream"})
    announced = await stream.event()
    assert announced.event == "endpoint"
    client = Sse(home, stream, announced.data)
    try:
        if revision is not None:
            params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
            answer = await client.ask(request("initialize", params, id=0))
            assert answer["result"]["protocolVersion"] == revision
            assert (await client.post(notification("notifications/initialized"))).status == 202
        yield client
    finally:
        stream.disconnect()
        await stream.done()


async def test_what_other_replicas_hand_over_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was answered 202 there, so its client is told on the stream; what is served makes room."""
    takes: list[Callable[[Session, Posted], Awaitable[None]]] = []
    monkeypatch.setattr(MemoryStore, "take_posts", lambda store, take: takes.append(take))
    async with connected(house(max_pending_bytes=1 << 20, caller_share=100)) as client:
        [take], [session] = takes, client.home.store.open_sessions()

        def body(id: int) -> bytes:
            return orjson.dumps({**call("wait"), "id": id, "filler": "x" * 400_000})

        for id in (10, 11, 12):
            await take(session, Posted({}, None, body(id)))
        assert "MCP_MAX_PENDING_BYTES" in (await client.hear())["error"]["message"]
        client.home.release.set()
        assert {(await client.hear())["id"] for _ in range(2)} == {10, 11}
        await take(session, Posted({}, None, body(13)))
        assert (await client.hear())["id"] == 13


# ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_event_is_the_bare_uri_to_post_to() -> None:
    """HSSE-02, HSSE-08, HSSE-10."""
    async with connected(revision=None) as client:
        assert client.path.startswith("/api?session_id=")
        assert len(client.path.partition("=")[2]) >= 22
        assert client.stream.headers["content-type"].startswith("text/event-stream")
        assert client.stream.headers["x-accel-buffering"] == "no"
        assert client.stream.headers["cache-control"] == "no-cache, no-transform"


async def test_the_uri_honours_the_applications_root() -> None:
    """HSSE-10: behind a proxy that strips a prefix."""
    stream = Wire(house().endpoint.sse, "/sse").send("GET", root="/mcp")
    assert (await stream.event()).data.startswith("/mcp/api?session_id=")
    stream.disconnect()
    await stream.done()


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", None])
async def test_any_accept_that_admits_events_opens_the_stream(accept: str | None) -> None:
    stream = Wire(house().endpoint.sse, "/sse").send("GET", {"accept": accept})
    await stream.event()
    stream.disconnect()
    await stream.done()


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [("POST", {}, 405), ("DELETE", {}, 405), ("HEAD", {}, 405), ("GET", {"accept": "application/json"}, 406)],
)
async def test_nothing_else_is_done_there(method: str, headers: dict[str, str], status: int) -> None:
    """HSSE-15: 405 is what makes clients fall back."""
    answer = await Wire(house().endpoint.sse, "/sse").send(method, headers).done()
    assert answer.status == status
    if status == 405:
        assert answer.headers["allow"] == "GET, OPTIONS"


async def test_get_on_the_message_uri_is_405() -> None:
    """HSSE-15."""
    async with connected() as client:
        answer = await client.home.wire.send("GET", path=client.path).done()
        assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


async def test_a_silent_stream_is_kept_alive() -> None:
    """HSSE-10, SHC-14."""
    async with connected(house(keep_alive_seconds=0.05)) as client:
        await client.stream.until(lambda: client.stream.body.count(b"\n:\n\n") >= 2)


async def test_a_stream_that_ends_takes_its_session_and_work_along() -> None:
    """HSSE-07, HSSE-11."""
    home = house()
    async with connected(home) as client:
        await client.post(call("wait"))
        await home.started.wait()
    assert (home.cancelled, home.store.count) == (1, 0)
    assert (await client.post(SUM)).status == 404


async def test_nothing_is_left_of_a_thousand_streams_but_the_librarys_one_watcher() -> None:
    async with connected():
        before = len(asyncio.all_tasks())
        for _ in range(20):
            async with connected(revision=None):
                pass
        assert len(asyncio.all_tasks()) == before


# ── what is posted ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("revision", [revision.name for revision in HANDSHAKES])
async def test_every_handshake_revision_works_here(revision: str) -> None:
    """HSSE-04, HSSE-12."""
    async with connected(revision=revision) as client:
        answer = await client.ask(SUM)
        assert answer["result"]["content"][0]["text"] == "5"
        assert client.home.seen[0].revision.name == revision


@pytest.mark.parametrize("version", [None, OLDEST, NEWEST_HANDSHAKE.name])
async def test_a_version_header_is_taken_or_left(version: str | None) -> None:
    """HSSE-14: the TypeScript client sends it."""
    async with connected() as client:
        assert (await client.post(SUM, {"mcp-protocol-version": version})).status == 202
        assert (await client.hear())["id"] == 1


@pytest.mark.parametrize("version", ["1999-01-01", NEWEST.name])
async def test_a_version_that_is_not_served_here_is_400(version: str) -> None:
    """HSSE-14."""
    async with connected() as client:
        assert (await client.post(SUM, {"mcp-protocol-version": version})).status == 400


async def test_errors_go_on_the_stream_not_into_the_status() -> None:
    """HSSE-07: after a 4xx the Python clients' writer stops for good."""
    async with connected() as client:
        for message, code in (
            (request("nonsense"), -32601),
            (call("nothing"), -32602),
            ({**SUM, "params": [1]}, -32602),
            (request("initialize", {"protocolVersion": OLDEST}), -32600),
        ):
            answer = await client.ask(message)
            assert (answer["id"], answer["error"]["code"]) == (1, code)


async def test_what_cannot_be_answered_there_is_a_status() -> None:
    """HSSE-07."""
    async with connected() as client:
        assert (await client.post(b"{nonsense")).status == 400
        assert (await client.post({"jsonrpc": "1.0"})).status == 400
        assert (await client.post(SUM, {"content-type": "text/plain"})).status == 415
        unknown = await client.home.wire.ask(SUM, path="/api?session_id=unknown")
        assert (unknown.status, unknown.json["id"]) == (404, 1)


async def test_a_session_of_streamable_http_is_no_stream_and_the_other_way_round() -> None:
    home = house()
    session = await home.wire.open()
    assert (await home.wire.ask(SUM, path=f"/api?session_id={session.id}")).status == 404
    async with connected(home) as client:
        id = client.path.partition("=")[2]
        for method in ("POST", "GET", "DELETE"):
            answer = await home.wire.send(method, {"mcp-session-id": id}, [orjson.dumps(SUM)]).done()
            assert answer.status == 404
        assert (await client.ask(SUM))["id"] == 1


async def test_before_the_handshake() -> None:
    """INIT-13, HSSE-12; a probe for the newest era is told that the method is unknown, so that it falls back."""
    async with connected(revision=None) as client:
        envelope, _ = modern("tools/call", {"name": "add"})
        discover, _ = modern("server/discover")
        for message, code in (
            (request("ping"), None),
            (SUM, -32602),
            (envelope, -32600),
            (discover, -32601),
            (request("server/discover"), -32601),
            (request("initialize", {}), -32602),
        ):
            answer = await client.ask(message)
            assert answer.get("error", {}).get("code") == code
        assert (await client.post([SUM])).status == 400


async def test_after_the_handshake_an_envelope_is_ignored() -> None:
    """HSSE-12, DUAL-05."""
    async with connected() as client:
        message, _ = modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 1}})
        answer = await client.ask(message)
        assert answer["result"].keys() == {"content"}
        assert client.home.seen[0].revision.name == OLDEST


async def test_a_call_that_speaks_and_one_that_waits_do_not_hold_each_other_up() -> None:
    home = house()
    async with connected(home) as client:
        await client.post(call("wait", id="slow"))
        await home.started.wait()
        await client.post(call("count", id="fast", n=2))
        heard = [await client.hear() for _ in range(3)]
        assert [message.get("method") for message in heard] == [PROGRESS, PROGRESS, None]
        home.release.set()
        assert (await client.hear())["id"] == "slow"


async def test_a_question_goes_out_on_the_stream() -> None:
    """SHL-12 holds here too."""
    async with connected(revision=NEWEST_HANDSHAKE.name) as client:
        await client.post(call("ask"))
        question = await client.hear()
        assert question["method"] == "elicitation/create"
        accepted = await client.post({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}})
        assert accepted.status == 202
        assert (await client.hear())["result"]["content"][0]["text"] == "accept"


async def test_a_call_can_be_cancelled_and_its_id_is_not_taken_twice() -> None:
    """CANC-01, CANC-03, RPC-04."""
    home = house()
    async with connected(home) as client:
        await client.post(call("wait", id=5))
        await home.started.wait()
        assert (await client.ask(call("add", id=5, a=1, b=1)))["error"]["code"] == -32600
        await client.post(notification("notifications/cancelled", {"requestId": 5}))
        assert (await client.ask(call("add", id=6, a=1, b=1)))["id"] == 6
        assert home.cancelled == 1
        assert (await client.ask(call("add", id=5, a=1, b=1)))["id"] == 5


async def test_more_calls_than_allowed_are_429() -> None:
    home = house(max_session_calls=1)
    async with connected(home) as client:
        await client.post(call("wait", id=5))
        await home.started.wait()
        assert (await client.post(SUM)).status == 429


async def test_notifications_are_delivered_and_changes_are_told() -> None:
    """LSUB-02."""
    async with connected() as client:
        assert (await client.post(notification("notifications/roots/list_changed"))).status == 202
        assert len(client.home.heard) == 1
        client.home.kernel.changes.publish(Notice(TOOLS_CHANGED))
        assert (await client.hear())["method"] == TOOLS_CHANGED


@pytest.mark.parametrize("revision", [revision.name for revision in HANDSHAKES if revision.batch])
async def test_a_batch_is_answered_one_by_one(revision: str) -> None:
    """HSSE-13, BAT-01, BAT-05."""
    async with connected(revision=revision) as client:
        batch = [SUM, notification("x"), {"jsonrpc": "2.0", "id": 9}, {"jsonrpc": "2.0", "id": 3, "result": {}}]
        assert (await client.post(batch)).status == 202
        assert {(await client.hear())["id"] for _ in range(2)} == {1, 9}


@pytest.mark.parametrize("revision", [revision.name for revision in HANDSHAKES if not revision.batch])
async def test_other_revisions_have_no_batches(revision: str) -> None:
    """BAT-02."""
    async with connected(revision=revision) as client:
        answer = await client.post([SUM])
        assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


async def test_hanging_up_ends_the_stream_after_the_answer() -> None:
    home = house()
    async with connected(home) as client:
        assert (await client.ask(call("leave")))["result"]["content"][0]["text"] == "bye"
        await client.stream.done()
        assert client.stream.complete
        assert home.store.count == 0


async def test_draining_ends_streams_once_their_calls_are_answered() -> None:
    home = house()
    async with connected(home) as idle, connected(home) as working:
        await working.post(call("wait"))
        await home.started.wait()
        home.endpoint.drain()
        await idle.stream.done()
        assert idle.stream.complete
        home.release.set()
        assert (await working.hear())["id"] == 1
        await working.stream.done()
        assert working.stream.complete
    refused = await Wire(home.endpoint.sse, "/sse").send("GET").done()
    assert refused.status == 503


async def test_a_client_that_reads_nothing_loses_its_stream() -> None:
    home = house(send_seconds=0.1)
    async with connected(home) as client:
        client.stream.blocked = asyncio.Event()
        await client.post(SUM)
        await client.stream.done()
    assert home.store.count == 0


async def test_nothing_waits_for_a_client_that_is_gone() -> None:
    """AVAIL-04: what it did not read is forgotten with its stream, and takes no room from others."""
    home = house()
    async with connected(home) as client:
        (session,) = home.store.open_sessions()
        outbox: Any = session.outbox
        client.stream.blocked = asyncio.Event()
        for _ in range(3):
            outbox.offer(b"x" * 9000)
    assert [data async for data in outbox.messages(60)] == []

"""Streamable HTTP with sessions: handshake, calls, the GET stream and resumption, DELETE."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.protocol.changes import TOOLS_CHANGED, Notice
from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST, NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from mcpkit.transports.asgi import Refused
from mcpkit.transports.session_http import MAX_READERS
from tests.transports.asgi_client import SessionWire, leaving_nothing_behind, modern, notification, request
from tests.transports.doors import PROGRESS, House, call, house

RESUMABLE = [revision.name for revision in HANDSHAKES if revision.http.resumable]
BATCHING = [revision.name for revision in HANDSHAKES if revision.batch]
WITHOUT_BATCHES = [revision.name for revision in HANDSHAKES if not revision.batch]
SUM = call("add", a=2, b=3)
CANCEL = "notifications/cancelled"


async def opened(revision: str = NEWEST_HANDSHAKE.name, **settings: Any) -> tuple[House, SessionWire]:
    home = house(**settings)
    return home, await home.wire.open(revision)


# ── the handshake ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("revision", [revision.name for revision in HANDSHAKES])
async def test_every_handshake_revision_can_be_agreed_on(revision: str) -> None:
    """INIT-07, SHL-40, SHL-41, SHL-60: the id comes with the answer and is visible ASCII."""
    _, session = await opened(revision)
    assert session.revision == revision
    assert len(session.id) >= 22
    assert all("!" <= char <= "~" for char in session.id)
    assert (await session.ask(SUM)).json["result"]["content"][0]["text"] == "5"


@pytest.mark.parametrize("offered", [NEWEST.name, "2031-01-01", "nonsense"])
async def test_anything_else_gets_the_newest_handshake_revision(offered: str) -> None:
    """INIT-08."""
    _, session = await opened(offered)
    assert session.revision == NEWEST_HANDSHAKE.name


@pytest.mark.parametrize("version", ["2031-01-01", NEWEST.name, NEWEST_HANDSHAKE.name])
async def test_the_version_header_does_not_matter_to_initialize(version: str) -> None:
    """SHL-55, AMB-14; stray routing headers neither (real clients send them)."""
    params = {"protocolVersion": NEWEST_HANDSHAKE.name, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    headers = {"mcp-protocol-version": version, "mcp-method": "initialize"}
    answer = await house().wire.ask(request("initialize", params), headers)
    assert (answer.status, answer.json["result"]["protocolVersion"]) == (200, NEWEST_HANDSHAKE.name)


async def test_a_refused_handshake_carries_no_session_id() -> None:
    """SHL-47, SHL-56: an error of JSON-RPC is HTTP 200."""
    home = house()
    for params in ({}, {"protocolVersion": NEWEST_HANDSHAKE.name, "fail": True}):
        answer = await home.wire.ask(request("initialize", params))
        assert (answer.status, answer.json["error"]["code"]) == (200, -32602)
        assert "mcp-session-id" not in answer.headers
    assert home.store.count == 0


async def test_initialize_within_a_session_is_refused() -> None:
    """SHL-47: a live one 400, a dead one 404."""
    home, session = await opened()
    params = {"protocolVersion": NEWEST_HANDSHAKE.name}
    live = await session.ask(request("initialize", params, id=9))
    await session.delete()
    dead = await session.ask(request("initialize", params, id=9))
    assert (live.status, live.json["error"]["code"], live.json["id"]) == (400, -32600, 9)
    assert (dead.status, dead.json["id"]) == (404, 9)
    assert home.store.count == 0


async def test_a_full_house_says_when_to_come_back() -> None:
    home, _ = await opened(max_sessions=1)
    answer = await home.wire.ask(request("initialize", {"protocolVersion": NEWEST_HANDSHAKE.name}))
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_errors_of_json_rpc_are_http_200() -> None:
    """METH-03, SHL-56: old clients tear everything down on a 4xx."""
    _, session = await opened()
    unknown = await session.ask(request("nonsense"))
    wrong = await session.ask(call("nothing"))
    assert [(answer.status, answer.json["error"]["code"]) for answer in (unknown, wrong)] == [
        (200, -32601),
        (200, -32602),
    ]


async def test_a_call_is_served_as_soon_as_initialize_was_answered() -> None:
    """INIT-13, leniently: some clients send initialized late or never."""
    home = house()
    params = {"protocolVersion": NEWEST_HANDSHAKE.name}
    opened = await home.wire.ask(request("initialize", params))
    answer = await home.wire.ask(SUM, {"mcp-session-id": opened.headers["mcp-session-id"]})
    assert answer.status == 200


async def test_an_unknown_session_is_404_with_the_id_echoed() -> None:
    """SHL-44."""
    answer = await house().wire.ask(SUM, {"mcp-session-id": "unknown"})
    assert (answer.status, answer.json["id"], answer.json["error"]["code"]) == (404, 1, -32600)


@pytest.mark.parametrize("version", [revision.name for revision in HANDSHAKES] + [None])
async def test_the_negotiated_revision_stands_whatever_the_header_says(version: str | None) -> None:
    """SHL-54: the conformance suite posts another supported version, and clients of HTTP+SSE none."""
    home, session = await opened()
    answer = await session.ask(SUM, {"mcp-protocol-version": version})
    assert answer.status == 200
    assert home.seen[-1].revision is NEWEST_HANDSHAKE


async def test_a_version_that_does_not_exist_is_400_on_every_method() -> None:
    """SHL-53."""
    _, session = await opened()
    bad = {"mcp-protocol-version": "1999-01-01"}
    assert (await session.ask(SUM, bad)).status == 400
    assert (await session.get(bad).done()).status == 400
    assert (await session.wire.send("DELETE", session.headers(bad)).done()).status == 400


async def test_a_modern_request_beside_a_session_is_served_without_it() -> None:
    """SHD-04, DUAL-05."""
    home, session = await opened()
    message, headers = modern("tools/call", {"name": "add", "arguments": {"a": 1, "b": 1}})
    answer = await session.wire.ask(message, {**headers, "mcp-session-id": session.id})
    assert answer.status == 200
    assert home.seen[-1].session is None


async def test_notifications_are_accepted_before_they_are_delivered() -> None:
    """SHC-11, RPC-12."""
    home, session = await opened()
    answer = await session.ask(notification("notifications/roots/list_changed"))
    assert (answer.status, answer.body) == (202, b"")
    assert home.heard[0].session is not None
    assert (await session.ask(notification("no/such/thing"))).status == 202


async def test_a_second_call_with_the_id_of_one_in_flight_is_refused_and_the_first_lives() -> None:
    """RPC-04, RPC-06: 1 and "1" are two ids, and a finished one may come again."""
    home, session = await opened()
    first = session.post(call("wait", id=1))
    await home.started.wait()
    twice = await session.ask(call("add", id=1, a=1, b=1))
    other = await session.ask(call("add", id="1", a=1, b=1))
    assert (twice.status, twice.json["error"]["code"], twice.json["id"]) == (400, -32600, 1)
    assert (other.status, other.json["id"]) == (200, "1")
    home.release.set()
    assert (await first.done()).json["result"]["content"][0]["text"] == "waited"
    assert (await session.ask(call("add", id=1, a=1, b=1))).status == 200


async def test_two_sessions_may_use_one_id_at_once() -> None:
    """RPC-05, SESS-06: nothing is keyed by a bare id."""
    home, one = await opened()
    two = await home.wire.open()
    waiting = one.post(call("wait", id=1))
    await home.started.wait()
    assert (await two.ask(call("add", id=1, a=1, b=1))).status == 200
    await two.ask(notification(CANCEL, {"requestId": 1}))
    home.release.set()
    assert (await waiting.done()).json["result"]["content"][0]["text"] == "waited"


async def test_more_calls_in_flight_than_allowed_are_429() -> None:
    home, session = await opened(max_session_calls=1)
    waiting = session.post(call("wait", id=1))
    await home.started.wait()
    answer = await session.ask(call("add", id=2, a=1, b=1))
    assert (answer.status, answer.headers["retry-after"], answer.json["id"]) == (429, "1", 2)
    home.release.set()
    await waiting.done()
    assert (await session.ask(call("add", id=2, a=1, b=1))).status == 200


# ── cancelling ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cancelled_call_stops_and_gets_no_answer() -> None:
    """CANC-01, CANC-03; the POST still has to end: 202 without a body."""
    home, session = await opened()
    async with leaving_nothing_behind():
        waiting = session.post(call("wait", id=5))
        await home.started.wait()
        answer = await session.ask(notification(CANCEL, {"requestId": 5, "reason": "enough"}))
        assert answer.status == 202
        await waiting.done()
    assert (waiting.status, waiting.body, home.cancelled) == (202, b"", 1)


@pytest.mark.parametrize("id", ["5", 5.0, True, None, [5], {"a": 1}, 6])
async def test_a_cancel_that_names_no_call_changes_nothing(id: Any) -> None:
    """CANC-08, RPC-06: ids are compared with their type."""
    home, session = await opened()
    waiting = session.post(call("wait", id=5))
    await home.started.wait()
    assert (await session.ask(notification(CANCEL, {"requestId": id}))).status == 202
    home.release.set()
    assert (await waiting.done()).status == 200


async def test_a_tool_that_swallows_its_cancellation_gets_no_answer_either() -> None:
    """CANC-03."""
    home, session = await opened()
    async with leaving_nothing_behind():
        waiting = session.post(call("stubborn", id=5))
        await home.started.wait()
        await session.ask(notification(CANCEL, {"requestId": 5}))
        await waiting.done()
    assert (waiting.status, waiting.body) == (202, b"")
    assert (await session.ask(SUM)).status == 200


async def test_a_stream_of_a_cancelled_call_ends_without_an_answer() -> None:
    home, session = await opened()
    speaking = session.post(call("speak", id=5))
    await home.started.wait()
    await session.ask(notification(CANCEL, {"requestId": 5}))
    assert [message.get("method") for message in await speaking.messages()] == [PROGRESS]
    assert speaking.complete


async def test_delete_ends_the_session_and_its_work() -> None:
    """SHL-44, SHL-46."""
    home, session = await opened()
    async with leaving_nothing_behind():
        waiting = session.post(call("wait"))
        stream = session.get()
        await home.started.wait()
        await stream.event()
        answer = await session.delete()
        assert (answer.status, answer.body) == (204, b"")
        await waiting.done()
        await stream.done()
    assert (waiting.status, home.cancelled, stream.complete) == (404, 1, True)
    for again in (await session.ask(SUM), await session.delete(), await session.get().done()):
        assert again.status == 404


async def test_hanging_up_ends_the_session_after_the_answer() -> None:
    home, session = await opened()
    assert (await session.ask(call("leave"))).json["result"]["content"][0]["text"] == "bye"
    assert (await session.ask(SUM)).status == 404
    assert home.store.count == 0


# ── questions to the client ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_question_goes_out_on_the_calls_stream_and_its_answer_comes_as_a_post() -> None:
    """SHL-05, SHL-12, AMB-13."""
    _, session = await opened()
    async with leaving_nothing_behind():
        asking = session.post(call("ask"))
        await asking.event()  # priming
        question = await asking.message()
        assert question["method"] == "elicitation/create"
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}}
        accepted = await session.ask(answer)
        assert (accepted.status, accepted.body) == (202, b"")
        assert (await asking.messages())[-1]["result"]["content"][0]["text"] == "accept"


async def test_only_the_session_that_was_asked_can_answer() -> None:
    """ELIC-09, SHL-12: matched by session, then by id with its type."""
    home, session = await opened()
    stranger = await home.wire.open()
    asking = session.post(call("ask"))
    await asking.event()
    question = await asking.message()
    for wire, id in ((stranger, question["id"]), (session, str(question["id"]))):
        assert (await wire.ask({"jsonrpc": "2.0", "id": id, "result": {"action": "steal"}})).status == 202
    await session.ask({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}})
    assert (await asking.messages())[-1]["result"]["content"][0]["text"] == "accept"


async def test_a_refused_or_garbled_answer_ends_the_wait() -> None:
    _, session = await opened()
    for answer in ({"error": {"code": -1, "message": "User rejected"}}, {"result": "no object"}):
        asking = session.post(call("ask"))
        await asking.event()
        question = await asking.message()
        await session.ask({"jsonrpc": "2.0", "id": question["id"], **answer})
        assert "error" in (await asking.messages())[-1]


async def test_who_takes_json_only_and_listens_nowhere_cannot_be_asked() -> None:
    """SHL-28: fail fast instead of hanging."""
    _, session = await opened()
    answer = await session.ask(call("ask"), {"accept": "application/json"})
    assert answer.json["error"]["code"] == -32603


async def test_a_question_to_a_json_only_caller_goes_to_its_get_stream() -> None:
    """SHC-08."""
    _, session = await opened()
    stream = session.get()
    await stream.event()
    asking = session.post(call("ask"), {"accept": "application/json"})
    question = await stream.message()
    await session.ask({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept"}})
    assert (await asking.done()).json["result"]["content"][0]["text"] == "accept"
    await session.delete()


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("revision", BATCHING)
async def test_a_batch_is_answered_as_one_array(revision: str) -> None:
    """BAT-01, BAT-05, SHL-03."""
    _, session = await opened(revision)
    batch = [SUM, notification("x"), {"jsonrpc": "2.0", "id": 9}, call("add", id="b", a=1, b=1)]
    answer = await session.ask(batch)
    assert [entry["id"] for entry in answer.json] == [1, 9, "b"]
    assert answer.json[1]["error"]["code"] == -32600
    assert (await session.ask([notification("x")])).status == 202


@pytest.mark.parametrize("revision", BATCHING)
async def test_answers_travel_in_a_batch_of_their_own(revision: str) -> None:
    """SHL-02, SHL-01, SHL-03: nothing of a mixed one is served."""
    _, session = await opened(revision)
    response = {"jsonrpc": "2.0", "id": 7, "result": {}}
    mixed = await session.ask([SUM, response])
    assert (mixed.status, mixed.json["error"]["code"]) == (400, -32600)
    assert (await session.ask([response, response])).status == 202


@pytest.mark.parametrize("revision", WITHOUT_BATCHES)
async def test_other_revisions_have_no_batches(revision: str) -> None:
    """BAT-02, BAT-06."""
    _, session = await opened(revision)
    answer = await session.ask([SUM])
    assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("revision", BATCHING)
async def test_initialize_does_not_travel_in_a_batch(revision: str) -> None:
    """BAT-03."""
    answer = await house().wire.ask([request("initialize", {"protocolVersion": revision})])
    assert (answer.status, answer.json["error"]["code"]) == (400, -32600)


# ── the GET stream ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"mcp-session-id": None}, 400),
        ({"mcp-session-id": "unknown"}, 404),
        ({"accept": "application/json"}, 406),
        ({"mcp-protocol-version": NEWEST.name}, 405),
        ({"last-event-id": "nonsense"}, 400),
        ({"last-event-id": "1-1"}, 400),
        ({"last-event-id": ""}, 400),
    ],
)
async def test_a_get_that_cannot_be_a_stream(headers: dict[str, Any], status: int) -> None:
    """SHL-22, SHL-33, SHD row 4 to 6."""
    _, session = await opened()
    answer = await session.get(headers).done()
    assert answer.status == status
    assert "error" in answer.json


@pytest.mark.parametrize("revision", [revision.name for revision in HANDSHAKES])
async def test_changes_are_told_on_the_get_stream(revision: str) -> None:
    """SHL-20, SHL-23, LSUB-02: the first bytes come at once, ids only where they can be resumed from."""
    home, session = await opened(revision)
    rules = next(r.http for r in HANDSHAKES if r.name == revision)
    async with leaving_nothing_behind():
        stream = session.get()
        await stream.until(lambda: bool(stream.pieces))
        if rules.priming:
            primer = await stream.event()
            assert (primer.data, bool(primer.id)) == ("", True)
        home.kernel.changes.publish(Notice(TOOLS_CHANGED))
        home.kernel.changes.publish(Notice(TOOLS_CHANGED))
        event = await stream.event()
        assert TOOLS_CHANGED in event.data
        assert bool(event.id) == rules.resumable
        await session.delete()
        assert await stream.messages() == []


async def test_only_subscribed_resources_are_told_of() -> None:
    """LSUB-01."""
    home, session = await opened()
    stored = await home.store.get(session.id)
    assert stored is not None
    stored.subscriptions |= {"file:///a"}
    stream = session.get()
    await stream.event()
    for uri in ("file:///b", "file:///a"):
        home.kernel.changes.publish(Notice.updated(uri))
    assert (await stream.message())["params"] == {"uri": "file:///a"}
    await session.delete()


async def test_a_silent_stream_is_kept_alive() -> None:
    """SHC-14."""
    _, session = await opened(keep_alive_seconds=0.05)
    stream = session.get()
    await stream.until(lambda: stream.body.count(b":\n\n") >= 2)
    await session.delete()


async def test_a_client_that_leaves_its_stream_leaves_nothing() -> None:
    home, session = await opened()
    async with leaving_nothing_behind():
        stream = session.get()
        await stream.event()
        stream.disconnect()
        await stream.done()
    assert home.store.count == 1
    assert not (await home.store.get(session.id)).busy  # type: ignore[union-attr]


@pytest.mark.parametrize("revision", RESUMABLE)
async def test_what_was_missed_on_the_get_stream_comes_after_the_last_event_id(revision: str) -> None:
    """SHL-31, SHL-32."""
    home, session = await opened(revision)
    stored = await home.store.get(session.id)
    assert stored is not None
    stored.subscriptions |= {"file:///1", "file:///2"}
    stream = session.get()
    await stream.until(lambda: bool(stream.pieces))
    home.kernel.changes.publish(Notice.updated("file:///1"))
    event = await stream.event()
    while not event.data:
        event = await stream.event()
    stream.disconnect()
    await stream.done()
    home.kernel.changes.publish(Notice.updated("file:///2"))
    resumed = session.get({"last-event-id": event.id})
    assert (await resumed.message())["params"] == {"uri": "file:///2"}
    await session.delete()


async def test_of_two_get_streams_only_one_is_told() -> None:
    """SHL-26, SHL-27."""
    home, session = await opened()
    old, new = session.get(), session.get()
    await old.event()
    await new.event()
    home.kernel.changes.publish(Notice(TOOLS_CHANGED))
    await new.event()
    await session.delete()
    assert await old.messages() == []


async def test_get_streams_of_a_session_are_few() -> None:
    _, session = await opened()
    streams = [session.get() for _ in range(MAX_READERS)]
    for stream in streams:
        await stream.event()
    assert (await session.get().done()).status == 409
    await session.delete()


async def test_draining_ends_get_streams_and_lets_calls_finish() -> None:
    """SHL-25: a client of the newest handshake revision is told when to come back."""
    home, session = await opened()
    stream, waiting = session.get(), session.post(call("wait"))
    await stream.event()
    await home.started.wait()
    home.endpoint.drain()
    await stream.done()
    assert stream.complete
    assert stream.body.endswith(b"retry: 1000\n\n")
    assert (await session.get().done()).status == 503
    home.release.set()
    assert (await waiting.done()).status == 200


# ── whose session ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_of_somebody_else_looks_unknown() -> None:
    """SHL-50, SESS-03, SHL-48, SESS-05: on POST, GET, DELETE and resumption alike."""

    async def authenticate(headers: Any) -> Principal:
        if "authorization" not in headers:
            raise Refused(401, "who are you?", [(b"www-authenticate", b"Bearer")])
        return Principal(headers["authorization"])

    home = House(authenticate=authenticate)
    anonymous = await home.wire.ask(SUM)
    assert (anonymous.status, anonymous.headers["www-authenticate"]) == (401, "Bearer")
    alice = {"authorization": "alice"}
    params = {"protocolVersion": NEWEST_HANDSHAKE.name}
    opened = await home.wire.ask(request("initialize", params), alice)
    session = SessionWire(home.wire, opened.headers["mcp-session-id"], NEWEST_HANDSHAKE.name)
    assert (await session.ask(SUM)).status == 401  # an id is no authentication
    unknown = SessionWire(home.wire, "unknown", NEWEST_HANDSHAKE.name)
    bob = {"authorization": "bob"}
    for method in ("POST", "GET", "DELETE"):
        body = [b'{"jsonrpc":"2.0","id":1,"method":"ping"}']
        his, none = [await home.wire.send(method, wire.headers(bob), body).done() for wire in (session, unknown)]
        assert (his.status, his.body) == (none.status, none.body) == (404, his.body)
    assert (await session.ask(SUM, alice)).status == 200
    assert home.seen[-1].principal == Principal("alice")


async def test_idle_sessions_end_and_one_timer_serves_all() -> None:
    home, session = await opened(session_idle_seconds=1)
    stored = await home.store.get(session.id)
    assert stored is not None
    stored.seen -= 10
    await home.store.sweep()
    assert (await session.ask(SUM)).status == 404


async def test_a_thousand_sessions_leave_no_task() -> None:
    home = house()
    async with leaving_nothing_behind():
        sessions = [await home.wire.open() for _ in range(200)]
        await asyncio.gather(*(session.ask(SUM) for session in sessions))

"""One client over a pipe: both eras, cancellation, batches, questions, the end (STDIO, DUAL, CANC, INIT, BAT)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.framing.ndjson import Overlong
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.kernel import Kernel
from mcpkit.protocol.envelope import META_LOG_LEVEL, META_PROTOCOL_VERSION, META_SUBSCRIPTION_ID
from mcpkit.protocol.exchange import Exchange, NoBackChannel
from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST, NEWEST_HANDSHAKE, SUPPORTED
from tests.pipes import (
    CALL,
    ENVELOPE,
    SECONDS,
    Desk,
    Pipe,
    call,
    code,
    enveloped,
    initialize,
    modern,
    notification,
    request,
    said,
    small_kernel,
)

BATCHING = next(revision.name for revision in HANDSHAKES if revision.batch)
CANCELLED = "notifications/cancelled"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def pipe(desk: Desk) -> Any:
    pipe = Pipe(desk.kernel)
    yield pipe
    pipe.duplex.close()
    await pipe.over()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1, "nothing runs on when a conversation is over"


class TestEras:
    @pytest.mark.parametrize("revision", HANDSHAKES, ids=lambda revision: revision.name)
    async def test_a_session_in_every_handshake_revision(self, pipe: Pipe, desk: Desk, revision: Any) -> None:
        """INIT-07, STDIO-20: the connection is the session, with what its client declared."""
        assert (await pipe.open(revision.name, sampling={}))["protocolVersion"] == revision.name
        assert said(await pipe.ask(call("a", text="hi"))) == ("a", "hi")
        exchange = desk.seen[0]
        assert exchange.revision is revision
        assert exchange.client.capabilities == {"sampling": {}}
        assert exchange.session is not None
        assert len(exchange.session.id) == 32

    @pytest.mark.parametrize("offered", [NEWEST.name, "2099-01-01", ""])
    async def test_the_counter_offer_is_the_newest_handshake(self, pipe: Pipe, offered: str) -> None:
        """INIT-08."""
        assert (await pipe.open(offered))["protocolVersion"] == NEWEST_HANDSHAKE.name

    async def test_both_eras_at_once(self, pipe: Pipe, desk: Desk) -> None:
        """DUAL-04, DUAL-05, VER-04, STATE-03, STDIO-32: enveloped calls around a handshake; nothing leaks to them."""
        assert said(await pipe.ask(modern(1, text="a"))) == (1, "a")
        await pipe.open(sampling={})
        assert said(await pipe.ask(call(2, text="b"))) == (2, "b")
        await pipe.say(enveloped(3, CALL, {"name": "echo"}, **{META_LOG_LEVEL: "debug"}))
        assert said((await pipe.hear())[0]) == (3, None)
        assert said(await pipe.ask(call(4, text="d"))) == (4, "d")
        eras = [(exchange.revision, exchange.session is None) for exchange in desk.seen]
        assert eras == [(NEWEST, True), (NEWEST_HANDSHAKE, False), (NEWEST, True), (NEWEST_HANDSHAKE, False)]
        assert [dict(exchange.client.capabilities) for exchange in desk.seen] == [
            {},
            {"sampling": {}},
            {},
            {"sampling": {}},
        ]
        assert [exchange.log_level for exchange in desk.seen] == [None, None, "debug", None]

    async def test_an_envelope_is_checked(self, pipe: Pipe) -> None:
        """META-11, NEG-02, DUAL-03: the error carries the id; the method alone never decides the era."""
        await pipe.open()
        lame = request(1, CALL, {"name": "echo", "_meta": {META_PROTOCOL_VERSION: NEWEST.name}})
        assert code(await pipe.ask(lame)) == (1, -32602)
        future = await pipe.ask(enveloped(2, CALL, **{META_PROTOCOL_VERSION: "2099-01-01"}))
        assert code(future) == (2, -32022)
        assert future["error"]["data"] == {"supported": list(SUPPORTED), "requested": "2099-01-01"}
        assert code(await pipe.ask(enveloped(3, "initialize"))) == (3, -32601)
        assert code(await pipe.ask(enveloped(4, "ping"))) == (4, -32601)

    async def test_before_the_handshake(self, pipe: Pipe, desk: Desk) -> None:
        """INIT-13, PING-01, DCLI-02: a ping is answered, a call is not made, a probe hears what makes it fall back."""
        assert await pipe.ask(request(1, "ping")) == {"jsonrpc": "2.0", "id": 1, "result": {}}
        refused = await pipe.ask(call(2))
        assert code(refused) == (2, -32602)
        assert "initialize" in refused["error"]["message"]
        assert code(await pipe.ask(request(3, "server/discover"))) == (3, -32601)
        assert desk.seen == []

    async def test_a_second_initialize_is_refused(self, pipe: Pipe) -> None:
        """INIT-13: the first session goes on."""
        await pipe.open()
        assert code(await pipe.ask(initialize(1))) == (1, -32600)
        assert said(await pipe.ask(call(2))) == (2, None)

    async def test_initialize_is_served_before_what_follows_it(self, pipe: Pipe, desk: Desk) -> None:
        """INIT-14: however long it takes, a pipelined request sees the session, and answers come in order."""
        gate = asyncio.get_running_loop().create_future()

        async def slowly(exchange: Exchange, serve: Any) -> Any:
            if exchange.method == "initialize":
                await gate
            return await serve(exchange)

        desk.kernel.use(slowly)
        await pipe.say(initialize(0), call(1, text="a"), notification("notifications/initialized"))
        await pipe.say(call(2, text="b"), notification(CANCELLED, {"requestId": 0}))
        assert await pipe.quiet() == []
        gate.set_result(None)
        await pipe.say(call(3, text="c"))
        assert [message["id"] for message in await pipe.hear(4)] == [0, 1, 2, 3]
        assert [exchange.revision for exchange in desk.seen] == [NEWEST_HANDSHAKE] * 3

    async def test_a_failed_initialize_opens_nothing(self, pipe: Pipe, desk: Desk) -> None:
        """INIT-02: the client may try again."""
        refusals = iter([True, False])

        async def moody(exchange: Exchange, serve: Any) -> Any:
            if exchange.method == "initialize" and next(refusals):
                raise RpcError(-32000, "not today")
            return await serve(exchange)

        desk.kernel.use(moody)
        assert code(await pipe.ask(initialize(0))) == (0, -32000)
        assert code(await pipe.ask(call(1))) == (1, -32602)
        assert code(await pipe.ask(request(2, "initialize", {"protocolVersion": 7}))) == (2, -32602)
        assert (await pipe.open())["protocolVersion"] == NEWEST_HANDSHAKE.name
        assert said(await pipe.ask(call(3))) == (3, None)


class TestBadInput:
    @pytest.mark.parametrize(
        "revision", [None, *HANDSHAKES], ids=lambda revision: revision.name if revision else "none"
    )
    async def test_what_is_no_message_is_answered_and_survived(self, pipe: Pipe, revision: Any) -> None:
        """STDIO-09, STDIO-10, RPC-11, RPC-13: no readable id is no id, or null where old revisions ask for it."""
        if revision:
            await pipe.open(revision.name)
        nameless = (None, -32700) if revision and revision.null_ids else ("no id", -32700)
        for line in (b"not json", b'{"a":1,"a":2}', b"\xff", b"[" * 100):
            assert code(await pipe.ask(line)) == nameless
        await pipe.take([Overlong(10)])
        answer = (await pipe.hear())[0]
        assert code(answer) == (nameless[0], -32600)
        assert "10 bytes" in answer["error"]["message"]
        assert code(await pipe.ask(b'{"jsonrpc":"1.0","id":7,"method":"ping"}')) == (7, -32600)
        assert code(await pipe.ask(b'{"jsonrpc":"2.0","id":null,"method":"ping"}')) == (nameless[0], -32600)
        assert code(await pipe.ask(request(8, "ping", params=[1]))) == (8, -32602)
        assert (await pipe.ask(request(9, "ping")))["result"] == {}

    async def test_notifications_and_responses_are_never_answered(self, pipe: Pipe) -> None:
        """RPC-12, STDIO-31: broken ones neither."""
        for opened in (False, True):
            if opened:
                await pipe.open()
            await pipe.say(
                notification("no/such"),
                {**notification("no/such"), "params": [1]},
                notification("no/such", {"_meta": {META_PROTOCOL_VERSION: 7}}),
                notification("notifications/roots/list_changed", {"_meta": ENVELOPE}),
                {"jsonrpc": "2.0", "id": 1, "result": {}},
                {"jsonrpc": "2.0", "id": 1, "result": 7},
                {"jsonrpc": "2.0", "error": {"code": -32700, "message": "?"}},
                notification(CANCELLED),
                notification(CANCELLED, {"requestId": [1]}),
                notification(CANCELLED, {"requestId": 99, "reason": {}}),
            )
            assert await pipe.quiet() == []

    @pytest.mark.parametrize("result", [{"said": object()}, {"said": {1: 2}}, {"said": b""}])
    async def test_a_result_that_is_no_json(self, pipe: Pipe, desk: Desk, result: Any, caplog: Any) -> None:
        """RPC-14: -32603 without a word of why, and the log says it."""

        async def odd(exchange: Exchange) -> Any:
            return result

        desk.acts["odd"] = odd
        answer = await pipe.ask(modern(1, "odd"))
        assert answer["error"] == {"code": -32603, "message": "Internal error"}
        assert "not JSON" in caplog.text

    async def test_a_handler_that_cancels_itself_still_answers(self, pipe: Pipe, desk: Desk) -> None:
        """RPC-14: a cancelled future inside of a tool is its own failure, not the client's cancellation."""

        async def odd(exchange: Exchange) -> Any:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.cancel)
            await future

        desk.acts["odd"] = odd
        assert code(await pipe.ask(modern(1, "odd"))) == (1, -32603)


class TestBatches:
    async def test_only_one_revision_has_them(self, pipe: Pipe) -> None:
        """BAT-02, BAT-06: not before a handshake, not in other sessions, never with an envelope."""
        assert code(await pipe.ask([request(1, "ping")])) == ("no id", -32600)
        assert code(await pipe.ask([])) == ("no id", -32600)
        await pipe.open()
        assert code(await pipe.ask([request(1, "ping")])) == ("no id", -32600)
        assert code(await pipe.ask([request(1, "ping")] * 101)) == ("no id", -32600)

    async def test_what_may_not_travel_in_one(self, pipe: Pipe) -> None:
        """BAT-03, BAT-02."""
        await pipe.open(BATCHING)
        assert code(await pipe.ask([initialize(1)])) == (None, -32600)
        assert code(await pipe.ask([call(1), modern(2)])) == (None, -32600)
        assert code(await pipe.ask([])) == (None, -32600)

    async def test_answers_come_as_one_array(self, pipe: Pipe, desk: Desk) -> None:
        """BAT-01, BAT-04, BAT-05: one for each request and each invalid entry, when all are there."""
        await pipe.open(BATCHING)
        broken = {"jsonrpc": "2.0", "id": 9, "result": 1}
        await pipe.say([call(1, "wait"), notification("n"), 7, broken, call(2), request(3, "no/such"), call(1, "wait")])
        (progress,) = await pipe.hear()
        assert progress["method"] == "notifications/progress"
        assert await pipe.quiet() == []
        desk.gates[1].set_result("late")
        answers = sorted((await pipe.hear())[0], key=lambda answer: (str(answer["id"]), "result" in answer))
        assert [code(answer) for answer in answers if "error" in answer] == [(1, -32600), (3, -32601), (None, -32600)]
        assert [said(answer) for answer in answers if "result" in answer] == [(1, "late"), (2, None)]

    async def test_nothing_to_answer_is_no_answer(self, pipe: Pipe, desk: Desk) -> None:
        """BAT-05, CANC-03: only notifications; or only a call that was cancelled."""
        await pipe.open(BATCHING)
        await pipe.say([notification("n"), notification("n", {}), {"jsonrpc": "2.0", "method": "n", "params": []}])
        await pipe.say([call(1, "wait")])
        await pipe.hear()
        await pipe.say([notification(CANCELLED, {"requestId": 1})])
        assert await pipe.quiet() == []
        assert desk.log == ["cancelled 1", "left 1"]


class TestCalls:
    async def test_what_never_waits_costs_no_task(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-12, architecture rule "tasks are born late"."""
        tasks: set[int] = set()

        async def count(exchange: Exchange) -> dict[str, Any]:
            tasks.add(len(asyncio.all_tasks()))
            return await desk.echo(exchange)

        desk.acts["count"] = count
        await pipe.say(*(modern(id, "count") for id in range(100)))
        assert [message["id"] for message in await pipe.hear(100)] == list(range(100))
        assert len(tasks) == 1

    async def test_a_slow_call_holds_nobody_up(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-12."""
        await pipe.open()
        await pipe.say(call(1, "wait"), modern("1", "wait"), call(2, text="quick"))
        assert [m.get("method") or said(m) for m in await pipe.hear(3)].count((2, "quick")) == 1
        desk.gates["1"].set_result("b")
        assert said((await pipe.hear())[0]) == ("1", "b")
        desk.gates[1].set_result("a")
        assert said((await pipe.hear())[0]) == (1, "a")

    @pytest.mark.parametrize("make", [call, modern])
    async def test_an_id_in_flight_is_refused(self, pipe: Pipe, desk: Desk, make: Any) -> None:
        """RPC-05, python-sdk #2655: the first call is unharmed, and the id is free when it is over."""
        await pipe.open()
        await pipe.say(make(1, "wait"), make(1, text="twice"))
        progress, refused = await pipe.hear(2)
        assert progress["method"] == "notifications/progress"
        assert code(refused) == (1, -32600)
        desk.gates[1].set_result("first")
        assert said((await pipe.hear())[0]) == (1, "first")
        assert said(await pipe.ask(make(1, text="again"))) == (1, "again")

    @pytest.mark.parametrize("make", [call, modern])
    async def test_a_cancel_really_cancels(self, pipe: Pipe, desk: Desk, make: Any) -> None:
        """CANC-01, CANC-03, STDIO-35, STDIO-36: the handler stops, nothing more is said, the id is free at once."""
        await pipe.open()
        await pipe.say(make(1, "wait"))
        await pipe.hear()
        await pipe.say(notification(CANCELLED, {"requestId": "1"}), notification(CANCELLED, {"requestId": True}))
        assert desk.log == []
        await pipe.say(notification(CANCELLED, {"requestId": 1, "reason": "bored"}), make(1, text="next"))
        assert said((await pipe.hear())[0]) == (1, "next")
        await pipe.say(notification(CANCELLED, {"requestId": 1}))
        assert await pipe.quiet() == []
        assert desk.log == ["cancelled 1", "left 1"]

    async def test_a_handler_that_ignores_its_cancel_is_not_heard(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-35: also when it goes on and returns something; the id's next call is not disturbed by its end."""
        gate = asyncio.get_running_loop().create_future()

        async def stubborn(exchange: Exchange) -> dict[str, Any]:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                await gate
            return {"said": "too late"}

        desk.acts["stubborn"] = stubborn
        await pipe.say(modern(1, "stubborn"))
        await pipe.say(notification(CANCELLED, {"requestId": 1}), modern(1, "wait"))
        await pipe.hear()
        gate.set_result(None)
        assert await pipe.quiet() == []
        assert code(await pipe.ask(modern(1))) == (1, -32600), "the second call is still in flight"
        desk.gates[1].set_result("second")
        assert said((await pipe.hear())[0]) == (1, "second")


class TestTalkingBack:
    async def test_a_question_and_its_answers(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-20, STDIO-21: ids of both directions may be equal; result, refusal and nonsense all reach the asker."""

        async def curious(exchange: Exchange) -> dict[str, Any]:
            try:
                return {"said": await exchange.ask("roots/list", {})}
            except RpcError as error:
                return {"said": error.code}

        desk.acts["ask"] = curious
        await pipe.open(roots={})
        for id, answer, outcome in (
            (1, {"result": {"roots": []}}, {"roots": []}),
            (2, {"error": {"code": -1, "message": "no"}}, -1),
            (3, {"result": 7}, -32600),
        ):
            question = await pipe.ask(call(id, "ask"))
            assert (question["method"], question["id"]) == ("roots/list", id)
            await pipe.say({"jsonrpc": "2.0", "id": str(id), **answer})
            assert await pipe.quiet() == []
            await pipe.say({"jsonrpc": "2.0", "id": id, **answer})
            assert said((await pipe.hear())[0]) == (id, outcome)

    async def test_an_envelope_can_not_be_asked(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-30, RPC-17: not even when there is a session on the same pipe."""

        async def curious(exchange: Exchange) -> dict[str, Any]:
            with pytest.raises(NoBackChannel):
                await exchange.channel.request("roots/list", {})
            exchange.channel.close_stream()
            return {"said": "refused"}

        desk.acts["ask"] = curious
        await pipe.open(roots={})
        assert said(await pipe.ask(modern(1, "ask"))) == (1, "refused")

    async def test_who_stops_waiting_takes_the_question_back(self, pipe: Pipe, desk: Desk) -> None:
        """CANC-01: the client need not answer any more; a late answer is ignored."""

        async def curious(exchange: Exchange) -> Any:
            return await exchange.ask("roots/list", {})

        desk.acts["ask"] = curious
        await pipe.open(roots={})
        question = await pipe.ask(call("a", "ask"))
        taken_back = await pipe.ask(notification(CANCELLED, {"requestId": "a"}))
        assert taken_back == notification(CANCELLED, {"requestId": question["id"]})
        await pipe.say({"jsonrpc": "2.0", "id": question["id"], "result": {}})
        assert await pipe.quiet() == []

    @pytest.mark.parametrize(("make", "heard"), [(call, 1), (modern, 0)])
    async def test_work_that_outlives_its_request(self, pipe: Pipe, desk: Desk, make: Any, heard: int) -> None:
        """LOG-03, PROG-06: it may still speak in a session, but not where each request stands for itself."""
        late: list[asyncio.Task[None]] = []

        async def leaves_work(exchange: Exchange) -> dict[str, Any]:
            late.append(asyncio.create_task(exchange.notify("notifications/message", {"level": "info", "data": 1})))
            return {"said": "done"}

        desk.acts["leave"] = leaves_work
        await pipe.open()
        assert said(await pipe.ask(make(1, "leave"))) == (1, "done")
        assert len(await pipe.quiet()) == heard
        await asyncio.wait_for(late[0], SECONDS)

    async def test_a_listener_may_ask(self, pipe: Pipe, desk: Desk) -> None:
        """RPC-18: a client's notification may lead to a question, and waits for nobody."""
        got = asyncio.get_running_loop().create_future()

        async def changed(exchange: Exchange) -> None:
            got.set_result(await exchange.ask("roots/list", {}))

        desk.kernel.on_notification("notifications/roots/list_changed", changed)
        await pipe.say(notification("notifications/roots/list_changed"))
        await pipe.open(roots={})
        question = await pipe.ask(notification("notifications/roots/list_changed"))
        assert question["method"] == "roots/list"
        await pipe.say({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}})
        assert await asyncio.wait_for(got, SECONDS) == {"roots": []}


class TestStreams:
    async def test_a_stream_that_the_server_ends(self, pipe: Pipe, desk: Desk) -> None:
        """AMB-01, CANC-07, SUB-08: cancelled, then at once the result; a client's own cancel ends it in silence."""
        gates = [asyncio.get_running_loop().create_future() for _ in range(2)]
        waiting = iter(gates)

        async def listen(exchange: Exchange) -> dict[str, Any]:
            await next(waiting)
            return {}

        desk.kernel.register("subscriptions/listen", listen)
        await pipe.say(enveloped("s", "subscriptions/listen"), enveloped("t", "subscriptions/listen"))
        gates[0].set_result(None)
        first, second = await pipe.hear(2)
        meta = {META_SUBSCRIPTION_ID: "s"}
        assert first == notification(CANCELLED, {"requestId": "s", "_meta": meta})
        assert (second["id"], second["result"]["resultType"]) == ("s", "complete")
        await pipe.say(notification(CANCELLED, {"requestId": "t"}))
        assert await pipe.quiet() == []
        assert gates[1].cancelled()

    async def test_a_stream_that_was_cancelled_ends_in_silence(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-35: even if its handler takes the cancel for a graceful end."""

        async def listen(exchange: Exchange) -> dict[str, Any]:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                desk.log.append("took it well")
            return {}

        desk.kernel.register("subscriptions/listen", listen)
        await pipe.say(enveloped("s", "subscriptions/listen"), notification(CANCELLED, {"requestId": "s"}))
        assert await pipe.quiet() == []
        assert desk.log == ["took it well"]


class TestTheEnd:
    async def test_what_came_before_the_end_is_answered(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-41, real-clients: then the conversation is over, at once."""
        await pipe.say(modern(1, "wait"), modern(2))
        await pipe.hear(2)
        pipe.duplex.end(60)
        assert not pipe.duplex.over.done()
        desk.gates[1].set_result("in time")
        assert said((await pipe.hear())[0]) == (1, "in time")
        await pipe.over()

    async def test_with_nothing_to_answer_it_is_over_at_once(self, pipe: Pipe) -> None:
        """STDIO-41."""
        pipe.duplex.end(60)
        assert pipe.duplex.over.done()

    async def test_what_takes_too_long_is_given_up(
        self, pipe: Pipe, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        """STDIO-41: grace is over, its caller is told so, handlers clean up, calls that come later are never made."""
        await pipe.say(modern(1, "wait"))
        await pipe.hear()
        pipe.duplex.end(0)
        assert code((await pipe.hear())[0]) == (1, -32603)
        await pipe.over()
        assert desk.log == ["cancelled 1", "left 1"]
        assert "tools/call 'wait' was given up" in caplog.text
        await pipe.say(modern(2))
        assert await pipe.quiet() == []
        assert len(desk.seen) == 1

    async def test_whatever_was_asked_is_answered_at_the_end(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-41: what runs, a batch, what waits for its turn, what waits for initialize; a stream just ends."""

        async def never(exchange: Exchange, serve: Any) -> Any:
            if exchange.method in ("initialize", "subscriptions/listen"):
                await asyncio.get_running_loop().create_future()
            return await serve(exchange)

        crowded = Pipe(desk.kernel, max_session_calls=1)
        batching = Pipe(desk.kernel)
        await batching.open(BATCHING)
        desk.kernel.use(never)
        await crowded.say(enveloped("s", "subscriptions/listen"), modern(1, "wait"), modern(2, "wait"))
        await batching.say([call(1, "wait"), call(2)])
        await pipe.say(initialize(0), call(1), notification("notifications/initialized"), modern(2))
        for each in (crowded, batching, pipe):
            each.duplex.give_up()
            await each.over()
        assert [code(message) for message in crowded.heard[-2:]] == [(1, -32603), (2, -32603)]
        assert sorted(answer["id"] for answer in batching.heard[-1]) == [1, 2]
        assert [message["id"] for message in pipe.heard if "error" in message] == [0, 1, 2]

    async def test_what_can_not_end_by_itself_is_ended(self, pipe: Pipe, desk: Desk) -> None:
        """STDIO-41, SUB-07: nobody will answer a question or cancel a stream any more, so nothing waits for it."""

        async def curious(exchange: Exchange) -> dict[str, Any]:
            with pytest.raises(NoBackChannel):
                await exchange.ask("roots/list", {})
            return {"said": "nobody answered"}

        async def listen(exchange: Exchange) -> Any:
            await asyncio.get_running_loop().create_future()

        desk.acts["ask"] = curious
        desk.kernel.register("subscriptions/listen", listen)
        await pipe.open(roots={})
        await pipe.say(call(1, "ask"), enveloped(2, "subscriptions/listen"))
        await pipe.hear()
        pipe.duplex.end(60)
        assert said((await pipe.hear())[0]) == (1, "nobody answered")
        await pipe.over()
        assert await pipe.quiet() == []

    async def test_the_end_waits_for_initialize_and_what_follows(self, pipe: Pipe, desk: Desk) -> None:
        """INIT-14, STDIO-41."""
        gate = asyncio.get_running_loop().create_future()

        async def slowly(exchange: Exchange, serve: Any) -> Any:
            if exchange.method == "initialize":
                await gate
            return await serve(exchange)

        desk.kernel.use(slowly)
        await pipe.say(initialize(0), call(1))
        pipe.duplex.end(60)
        assert not pipe.duplex.over.done()
        gate.set_result(None)
        assert [message["id"] for message in await pipe.hear(2)] == [0, 1]
        await pipe.over()

    @pytest.mark.parametrize("make", [call, modern])
    async def test_hanging_up_ends_the_pipe_after_the_answer(self, pipe: Pipe, desk: Desk, make: Any) -> None:
        """STDIO-42: `shutdown` ends the caller's session, which on a pipe is the pipe."""

        async def bye(exchange: Exchange) -> dict[str, Any]:
            exchange.channel.hang_up()
            return {"said": "bye"}

        desk.acts["bye"] = bye
        await pipe.open()
        assert said(await pipe.ask(make(1, "bye"))) == (1, "bye")
        await pipe.over()


async def test_two_pipes_share_nothing_but_the_kernel() -> None:
    """CVE-2026-25536: the same id on two pipes are two calls."""
    kernel: Kernel = small_kernel()
    first, second = Pipe(kernel), Pipe(kernel)
    await first.open()
    assert code(await second.ask(call(1))) == (1, -32602)
    for pipe in (first, second):
        pipe.duplex.close()
        await pipe.over()

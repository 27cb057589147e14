"""One answer: JSON when nothing was said, a stream from the first word on; leaving, coming back, cancelling."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.protocol.exchange import Exchange, NoBackChannel
from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST, NEWEST_HANDSHAKE
from mcpkit.transports import reply
from mcpkit.transports.asgi import Visit
from mcpkit.transports.gate import EVENTS, JSON
from mcpkit.transports.reply import ReplyChannel
from mcpkit.transports.streams import Guard, Patience
from tests.transports.asgi_client import Call, SessionWire, leaving_nothing_behind, modern, notification, request
from tests.transports.doors import PROGRESS, House, call, house

RESUMABLE = [revision.name for revision in HANDSHAKES if revision.http.resumable]
WITHOUT_PRIMING = [revision.name for revision in HANDSHAKES if not revision.http.priming]
EVENTS_ONLY = {"accept": "text/event-stream"}
JSON_ONLY = {"accept": "application/json"}


def tool(name: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, str | None]]:
    return modern("tools/call", {"name": name, "arguments": arguments})


def watching(home: House, seconds: float = 0.0) -> House:
    """A house whose calls have their callers watched at once."""
    patience = Patience(keep_alive=home.settings.keep_alive_seconds, watch_after=seconds)
    home.endpoint._unsessioned._patience = patience
    home.endpoint._sessions._patience = patience
    return home


async def result_of(stream: Call) -> str:
    message = (await stream.messages())[-1]
    value = message["result"]["content"][0]["text"]
    assert isinstance(value, str)
    return value


# ── one word makes a stream ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_modern_call_that_speaks_is_a_stream_without_ids() -> None:
    """SHM-07, SHM-05, SHM-06, SHC-12, SHC-13: no priming, no ids, no retry; the answer is last."""
    async with leaving_nothing_behind():
        stream = await house().wire.ask(*tool("count", n=3))
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "no-cache" in stream.headers["cache-control"]
    assert stream.body.count(b"data: ") == stream.body.count(b"\n\n") == 4
    assert b"id:" not in stream.body
    assert b"retry:" not in stream.body
    messages = await stream.messages()
    assert [message.get("method") for message in messages] == [PROGRESS] * 3 + [None]
    assert messages[-1]["result"]["content"][0]["text"] == "counted"


async def test_the_first_word_goes_out_while_the_handler_works() -> None:
    """SHM-13: lazily, but not late."""
    home = house()
    stream = home.wire.post(*tool("speak"))
    assert (await stream.message())["params"]["progress"] == 1
    assert not stream.task.done()
    home.release.set()
    assert await result_of(stream) == "spoken"


@pytest.mark.parametrize("revision", RESUMABLE)
async def test_a_call_in_a_session_speaks_with_ids(revision: str) -> None:
    """SHL-07, SHL-09, SHL-30: a primer first, on the newest handshake revision only."""
    session = await house().wire.open(revision)
    stream = await session.ask(call("count", n=2))
    events = [await stream.event() for _ in range(stream.body.count(b"data: "))]
    primed = revision == NEWEST_HANDSHAKE.name
    assert (events[0].data == "") is primed
    assert (events[0].retry is not None) is primed
    ids = [event.id for event in events]
    assert None not in ids
    assert len(set(ids)) == len(ids) == 3 + primed


@pytest.mark.parametrize("revision", [revision.name for revision in HANDSHAKES if not revision.http.resumable])
async def test_where_nothing_can_be_resumed_there_are_no_ids(revision: str) -> None:
    session = await house().wire.open(revision)
    stream = await session.ask(call("count", n=1))
    assert b"id:" not in stream.body
    assert await result_of(stream) == "counted"


async def test_an_error_after_the_first_word_is_the_last_event() -> None:
    """SHM-13."""
    home = house()

    async def fails(exchange: Any) -> Any:
        await exchange.notify(PROGRESS, {"progressToken": 1, "progress": 1})
        return await home._needs(exchange, {})

    home.kernel.register("x/fails", fails)
    stream = await home.wire.ask(*modern("x/fails"))
    assert stream.status == 200
    assert (await stream.messages())[-1]["error"]["code"] == -32021


# ── what is said after the answer ────────────────────────────────────────────────────────────────────────────────────


class Outliving:
    """A method whose exchange can still be used when it has been answered."""

    def __init__(self) -> None:
        self.home = house()
        self.kept: list[Exchange] = []
        self.home.kernel.register("x/leave", self.leave)

    async def leave(self, exchange: Exchange) -> dict[str, Any]:
        self.kept.append(exchange)
        if exchange.params.get("speak"):
            await self.say(0)
        return {}

    async def say(self, progress: int) -> None:
        await self.kept[-1].notify(PROGRESS, {"progressToken": 1, "progress": progress})


@pytest.mark.parametrize("speak", [True, False])
async def test_what_outlives_a_call_is_heard_where_its_session_listens(speak: bool) -> None:
    """LOG-06, SHL-11, SHL-24: not after the answer on its own stream, nor when that is resumed."""
    unit = Outliving()
    session = await unit.home.wire.open()
    listening = session.get()
    await listening.event()
    said = (await session.ask(request("x/leave", {"speak": speak}))).body
    await unit.say(7)
    assert (await listening.message())["params"]["progress"] == 7
    if speak:
        last = said.rpartition(b"id: ")[2].partition(b"\n")[0]
        assert (await session.get({"last-event-id": last.decode()}).done()).body.count(b"data:") == 0
    await session.delete()


@pytest.mark.parametrize("speak", [True, False])
async def test_what_outlives_a_call_without_a_session_is_not_heard(speak: bool) -> None:
    """SHM-05: and nothing breaks."""
    unit = Outliving()
    await unit.home.wire.ask(*modern("x/leave", {"speak": speak}))
    await unit.say(7)
    with pytest.raises(NoBackChannel):
        await unit.kept[-1].ask("roots/list", {})


async def test_a_cancelled_call_has_said_its_last_word() -> None:
    """CANC-03: also what it leaves behind."""
    unit = Outliving()
    session = await unit.home.wire.open()
    listening = session.get()
    await listening.event()
    waiting = asyncio.get_running_loop().create_future()

    async def wait(exchange: Exchange) -> dict[str, Any]:
        unit.kept.append(exchange)
        await exchange.notify(PROGRESS, {"progressToken": 1, "progress": 1})
        await waiting
        return {}

    unit.home.kernel.register("x/wait", wait)
    call = session.post(request("x/wait", id=5))
    await call.until(lambda: b"progress" in call.body)
    await session.ask(notification("notifications/cancelled", {"requestId": 5}))
    await call.done()
    await unit.say(2)
    await session.delete()
    assert await listening.messages() == []


# ── what is said at once ─────────────────────────────────────────────────────────────────────────────────────────────


class Line:
    """A server's way for bytes past its events, free unless it is ``full``."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.full = False
        self.drained = asyncio.Event()

    async def send(self, event: Any) -> None:
        await self.drained.wait()
        self.written.append(event.get("body", b""))

    def begin_pieces(self, fields: object) -> bool:
        return not self.full

    def write_piece(self, data: bytes) -> bool:
        if not self.full:
            self.written.append(data)
        return not self.full

    def channel(self, accept: int = JSON | EVENTS) -> ReplyChannel:
        visit: Any = Visit({}, None, self.send, {}, accept)  # type: ignore[arg-type]
        return ReplyChannel(visit, NEWEST.http, None, Patience())


async def test_what_is_offered_is_said_at_once_or_not_at_all() -> None:
    """SUB-10: never before the first word, past who is speaking, or to a line that is full."""
    line = Line()
    channel = line.channel()
    assert not channel.offer(b"{}"), "the stream has not begun"
    await channel.notify("x", {})
    assert channel.offer(b'{"n":1}')
    line.full = True
    assert not channel.offer(b'{"n":2}')
    speaking = asyncio.ensure_future(channel.notify("y", {}))
    await asyncio.sleep(0)
    line.full = False
    assert not channel.offer(b'{"n":3}'), "another speaks"
    line.drained.set()
    await asyncio.wait_for(speaking, 5)
    assert channel.offer(b'{"n":4}')
    assert line.written == [
        b'data: {"jsonrpc":"2.0","method":"x"}\n\n',
        b'data: {"n":1}\n\n',
        b'data: {"jsonrpc":"2.0","method":"y"}\n\n',
        b'data: {"n":4}\n\n',
    ]
    channel.cancel(None)
    assert not channel.offer(b"{}"), "nobody wants to hear it"


@pytest.mark.parametrize("accept", [JSON, EVENTS])
async def test_nothing_is_said_at_once_where_there_is_no_stream(accept: int) -> None:
    """SHC-08: to who takes JSON only, or has been answered."""
    line = Line()
    channel = line.channel(accept)
    await channel.notify("x", {})
    line.drained.set()
    await channel.finish(200, b"{}")
    assert not channel.offer(b"{}")


# ── what the caller takes ────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_takes_events_only_gets_one_event_in_one_piece() -> None:
    """SHC-08: as cheap as JSON, with its length."""
    message, headers = tool("add", a=1, b=2)
    session = await house().wire.open()
    for answer in (
        await house().wire.ask(message, {**headers, **EVENTS_ONLY}),
        await session.ask(call("add", a=1, b=2), EVENTS_ONLY),
    ):
        assert answer.headers["content-type"] == "text/event-stream"
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert len(answer.pieces) == 1
        assert await result_of(answer) == "3"


async def test_an_error_status_has_a_json_body_whatever_is_accepted() -> None:
    """Clients read errors of the newest revision from application/json."""
    message, headers = tool("needs")
    answer = await house().wire.ask(message, {**headers, **EVENTS_ONLY})
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")


async def test_who_takes_json_only_hears_nothing_on_a_modern_call() -> None:
    """SHC-08."""
    message, headers = tool("count", n=3)
    answer = await house().wire.ask(message, {**headers, **JSON_ONLY})
    assert answer.json["result"]["content"][0]["text"] == "counted"


async def test_who_takes_json_only_in_a_session_hears_it_on_the_get_stream() -> None:
    """SHC-08: the same for words said before anybody listened."""
    session = await house().wire.open()
    answer = await session.ask(call("count", n=2), JSON_ONLY)
    assert answer.json["result"]["content"][0]["text"] == "counted"
    stream = session.get()
    await stream.event()
    assert [(await stream.message())["params"]["progress"] for _ in range(2)] == [0, 1]
    await session.delete()


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0"])
async def test_who_takes_neither_is_told(accept: str) -> None:
    """SHC-08: 406, with the id."""
    message, headers = tool("add", a=1, b=2)
    modern_answer = await house().wire.ask(message, {**headers, "accept": accept})
    answer = await (await house().wire.open()).ask(call("add", a=1, b=2), {"accept": accept})
    assert [(a.status, a.json["id"]) for a in (modern_answer, answer)] == [(406, 1)] * 2


# ── silence ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_long_silence_opens_the_stream_and_keeps_it_alive() -> None:
    """SHM-13, SHC-14."""
    home = watching(house(keep_alive_seconds=0.05))
    stream = home.wire.post(*tool("wait"))
    await stream.until(lambda: stream.body.count(b":\n\n") >= 2)
    home.release.set()
    assert await result_of(stream) == "waited"


async def test_a_plain_call_stays_json_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    silences = asyncio.Semaphore(0)
    breathe = ReplyChannel._breathe

    async def counted(channel: ReplyChannel) -> None:
        await breathe(channel)
        silences.release()

    monkeypatch.setattr(ReplyChannel, "_breathe", counted)
    home = watching(house(keep_alive_seconds=0.05))
    answer = home.wire.post(call("wait"))
    async with asyncio.timeout(5):
        for _ in range(2):
            await silences.acquire()
    assert answer.status == 0
    home.release.set()
    assert (await answer.done()).json["result"]["content"][0]["text"] == "waited"


async def test_a_call_that_never_waits_makes_no_task_and_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is born late: neither for an answer nor for words that are sent at once."""
    born: list[object] = []

    class Counted(Guard):
        def __init__(self, *args: Any) -> None:
            born.append(self)
            super().__init__(*args)

    monkeypatch.setattr(reply, "Guard", Counted)
    home = house()
    await home.wire.ask(*tool("count", n=3))
    assert born == []
    home.release.set()
    await home.wire.ask(*tool("wait"))
    assert born == []


# ── leaving ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["wait", "speak", "stubborn"])
async def test_a_modern_client_that_leaves_has_cancelled(name: str) -> None:
    """SHM-08, CANC-06: with and without a stream; nothing more is sent."""
    home = watching(house())
    async with leaving_nothing_behind():
        stream = home.wire.post(*tool(name))
        await home.started.wait()
        sent = len(stream.pieces)
        stream.disconnect()
        await stream.done()
    assert home.cancelled == 1
    assert len(stream.pieces) == sent


async def test_a_modern_client_whose_line_is_full_is_gone_after_a_while() -> None:
    home = house(send_seconds=0.1)
    async with leaving_nothing_behind():
        stream = home.wire.post(*tool("speak"))
        await home.started.wait()
        stream.blocked = asyncio.Event()
        home.release.set()
        await stream.done()
    assert not stream.complete


async def test_a_session_client_that_leaves_comes_back_for_the_rest() -> None:
    """SHL-10, SHL-31, SHL-32, CANC-09: the work goes on, its words and its answer wait."""
    home = watching(house())
    session = await home.wire.open()
    async with leaving_nothing_behind():
        stream = session.post(call("speak"))
        primer, word = await stream.event(), await stream.event()
        await stream.leave()
        home.release.set()
        await stream.done()
        assert home.cancelled == 0
        again = session.get({"last-event-id": word.id})
        messages = await again.messages()
        assert [message.get("method") for message in messages] == [PROGRESS, None]
        assert messages[-1]["result"]["content"][0]["text"] == "spoken"
        from_the_start = await session.get({"last-event-id": primer.id}).messages()
        assert len(from_the_start) == 3


async def test_a_stream_that_was_taken_over_is_not_written_twice() -> None:
    """SHL-26: the old response gets nothing that the new one gets."""
    home = house()
    session = await home.wire.open()
    old = session.post(call("speak"))
    await old.event()
    word = await old.event()
    new = session.get({"last-event-id": word.id})
    await new.until(lambda: bool(new.pieces))
    home.release.set()
    assert len(await new.messages()) == 2
    assert await old.messages() == []


async def test_other_sessions_cannot_resume_a_stream() -> None:
    """SESS-05, SHL-33."""
    home = house()
    session, stranger = await home.wire.open(), await home.wire.open()
    stream = await session.ask(call("count", n=1))
    event = await stream.event()
    assert (await stranger.get({"last-event-id": event.id}).done()).status == 400


# ── parting from the response ────────────────────────────────────────────────────────────────────────────────────────


async def parted(home: House, session: SessionWire, **arguments: Any) -> Call:
    stream = session.post(call("part", **arguments))
    await home.started.wait()
    await stream.until(lambda: stream.complete)
    return stream


async def test_a_parted_stream_ends_and_the_answer_is_fetched_by_get() -> None:
    """SHL-08: primer, retry, end; the call goes on and its answer waits."""
    home = house()
    session = await home.wire.open()
    async with leaving_nothing_behind():
        stream = await parted(home, session, retry=500)
        primer = await stream.event()
        assert primer.data == ""
        assert stream.body.endswith(b"retry: 500\n\n")
        waiting = session.get({"last-event-id": primer.id})
        await waiting.until(lambda: bool(waiting.pieces))
        home.release.set()
        await stream.done()
        assert await result_of(waiting) == "waited"


async def test_the_answer_of_a_parted_call_waits_in_the_mailbox() -> None:
    home = house()
    session = await home.wire.open()
    stream = await parted(home, session)
    primer = await stream.event()
    home.release.set()
    await stream.done()
    assert await result_of(session.get({"last-event-id": primer.id})) == "waited"


@pytest.mark.parametrize("revision", WITHOUT_PRIMING)
async def test_older_clients_are_not_parted_from(revision: str) -> None:
    """SHL-06, SHL-09: they would not come back."""
    home = house()
    session = await home.wire.open(revision)
    home.release.set()
    assert (await session.ask(call("part"))).json["result"]["content"][0]["text"] == "waited"


async def test_modern_and_plain_callers_are_not_parted_from() -> None:
    home = house()
    home.release.set()
    assert (await home.wire.ask(*tool("part"))).json["result"]["content"][0]["text"] == "waited"
    assert (await home.wire.ask(call("part"))).json["result"]["content"][0]["text"] == "waited"


async def test_a_parted_call_can_be_cancelled() -> None:
    home = house()
    session = await home.wire.open()
    async with leaving_nothing_behind():
        stream = await parted(home, session)
        primer = await stream.event()
        waiting = session.get({"last-event-id": primer.id})
        await waiting.until(lambda: bool(waiting.pieces))
        await session.ask(notification("notifications/cancelled", {"requestId": 1}))
        await stream.done()
        assert await waiting.messages() == []
    assert home.cancelled == 1


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_question_nobody_waits_for_any_more_is_taken_back() -> None:
    """TIME-01, CANC-02: the client may close its dialog."""
    home = house()

    async def impatient(exchange: Any) -> Any:
        try:
            async with asyncio.timeout(0.05):
                await exchange.ask("elicitation/create", {"message": "?"})
        except TimeoutError:
            return {}

    home.kernel.register("x/impatient", impatient)
    session = await home.wire.open()
    stream = await session.ask({"jsonrpc": "2.0", "id": 1, "method": "x/impatient"})
    question, cancel, _ = await stream.messages()
    assert cancel["method"] == "notifications/cancelled"
    assert cancel["params"]["requestId"] == question["id"]


async def test_modern_and_plain_callers_cannot_be_asked() -> None:
    """SHM-05, TR-03: no request ever goes to them."""
    home = house()
    for channel in (
        ReplyChannel(_visit(), NEWEST.http, None, Patience()),
        ReplyChannel(_visit(), NEWEST_HANDSHAKE.http, None, Patience()),
    ):
        with pytest.raises(NoBackChannel):
            await channel.request("elicitation/create", {})
    assert home.seen == []


def _visit() -> Any:
    class Accepting:
        accept = 3

    return Accepting()

"""Clients that misbehave, each in one way; whatever the server answers must be a named refusal, and nothing may stay.

What must never stand here: an expectation about time beyond "it ends".
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from mcpkit.protocol.revisions.registry import HANDSHAKES
from tests.soak.lanes import INITIALIZED, META, MODERN, expect, opening, result_of
from tests.soak.wire import Broken, Wire, call, get, post, request

Misdeed = Callable[[int, random.Random], Awaitable[None]]
OVERLONG = 5 << 20


def part(wire: Wire, chance: random.Random) -> None:
    """Go away, by FIN or RST."""
    (wire.close if chance.random() < 0.5 else wire.reset)()


async def gone_mid_request(port: int, chance: random.Random) -> None:
    """Half a request, and away."""
    wire = await Wire.open(port)
    whole = post(call("echo", text="x" * 2000))
    wire.send(whole[: chance.randrange(1, len(whole))])
    await wire.drained()
    part(wire, chance)


async def gone_before_the_answer(port: int, chance: random.Random) -> None:
    """A call that would take long, of the newest era or plain, and away: it is cancelled."""
    wire = await Wire.open(port)
    fields = [MODERN, "Mcp-Method: tools/call", "Mcp-Name: sleep"]
    wire.send(post(call("sleep", 1, META, seconds=20), *fields))
    await wire.drained()
    await asyncio.sleep(chance.random() * 0.05)
    part(wire, chance)


async def gone_mid_stream(port: int, chance: random.Random) -> None:
    """A stream that has begun to speak, and away."""
    wire = await Wire.open(port)
    fields = [MODERN, "Mcp-Method: tools/call", "Mcp-Name: announce"]
    answer = await wire.ask(post(call("announce", 1, {**META, "progressToken": "p"}, seconds=20), *fields))
    expect(answer.streams, (answer.status, answer.body))
    await wire.message()
    part(wire, chance)


async def gone_listener(port: int, chance: random.Random) -> None:
    """A listener that never says goodbye."""
    wire = await Wire.open(port)
    fields = [MODERN, "Mcp-Method: subscriptions/listen"]
    asked = request("subscriptions/listen", 1, notifications={"toolsListChanged": True}, _meta=META)
    expect((await wire.ask(post(asked, *fields))).streams, "no stream")
    part(wire, chance)


async def gone_sse(port: int, chance: random.Random) -> None:
    """An HTTP+SSE stream with a call under way, and away."""
    wire = await Wire.open(port)
    expect((await wire.ask(get("/sse"))).streams, "no stream")
    path, _ = await wire.event()
    async with await Wire.open(port) as other:
        for message in (opening(HANDSHAKES[-1].name), INITIALIZED, call("sleep", 1, seconds=20)):
            expect((await other.ask(post(message, path=path))).status == 202, "post")
    part(wire, chance)


async def _session(wire: Wire) -> str:
    answer = await wire.ask(post(opening(HANDSHAKES[0].name)))
    result_of(answer)
    fields = f"Mcp-Session-Id: {answer.headers['mcp-session-id']}"
    expect((await wire.ask(post(INITIALIZED, fields))).status == 202, "initialized")
    return fields


async def abandoned_session(port: int, chance: random.Random) -> None:
    """What most clients do: a session that nobody ends."""
    async with await Wire.open(port) as wire:
        await _session(wire)


async def abandoned_stream(port: int, chance: random.Random) -> None:
    """A session whose GET stream breaks, with a call that is still served."""
    async with await Wire.open(port) as wire:
        session = await _session(wire)
        ear = await Wire.open(port)
        expect((await ear.ask(get("/api", session))).streams, "no stream")
        wire.send(post(call("announce", 1, {"progressToken": "p"}, seconds=1), session))
        await wire.drained()
        part(ear, chance)


async def cancelled_call(port: int, chance: random.Random) -> None:
    """A call of a session that is cancelled by a notification, early or late."""
    async with await Wire.open(port) as wire, await Wire.open(port) as other:
        session = await _session(other)
        wire.send(post(call("sleep", "c", seconds=20), session))
        await asyncio.sleep(chance.random() * 0.02)
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "c"}}
        expect((await other.ask(post(cancel, session))).status == 202, "cancel")
        expect((await other.ask(get("/api", session, method="DELETE"))).status in {200, 204}, "DELETE")


async def resumed(port: int, chance: random.Random) -> None:
    """A stream that breaks after its first event, and is resumed from there."""
    async with await Wire.open(port) as other:
        session = await _session(other)
        wire = await Wire.open(port)
        wire.send(post(call("announce", 1, {"progressToken": "p"}, seconds=0.05), session))
        expect((await wire.answer()).streams, "no stream")
        _, last = await wire.event()
        part(wire, chance)
        async with await Wire.open(port) as again:
            answer = await again.ask(get("/api", session, f"Last-Event-ID: {last}"))
            expect(answer.streams, (answer.status, answer.body))
            while "method" in (heard := await again.message()):
                pass
            expect("result" in heard, heard)
        expect((await other.ask(get("/api", session, method="DELETE"))).status in {200, 204}, "DELETE")


REFUSED: list[tuple[bytes, set[int]]] = [
    (post(b"{"), {400}),
    (post(b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'), {400}),
    (post(b"[" * 5000), {400}),
    (post(b"\xff\xfe"), {400}),
    (post(request("no/such")), {200}),
    (post(call("no such tool")), {200}),
    (post(call("echo", 1, None)), {200}),
    (post(request("ping"), "Mcp-Session-Id: nobody"), {404}),
    (post(request("ping"), "MCP-Protocol-Version: 1999-01-01"), {400}),
    (post(request("tools/list", _meta=META), MODERN), {400}),
    (post(request("ping")).replace(b"Host: 127.0.0.1", b"Host: evil.example"), {421}),
    (post(request("ping"), "Origin: http://evil.example"), {403}),
    (post(request("ping")).replace(b"application/json", b"text/plain", 1), {415}),
    (post(request("ping"), "X: " + "a" * 40_000), {431}),
    (get("/" + "a" * 60_000), {414}),
    (get("/nowhere"), {404}),
    (post(request("ping")).replace(b"POST", b"BREW"), {501}),
    (post(request("ping")).replace(b"Content-Length", b"Transfer-Encoding: chunked\r\nContent-Length"), {400}),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
    (post(b"").replace(b"Content-Length: 0", b"Content-Length: %d" % OVERLONG), {413}),
]


async def refused(port: int, chance: random.Random) -> None:
    """A request that is refused, each in its way."""
    data, statuses = chance.choice(REFUSED)
    async with await Wire.open(port) as wire:
        answer = await wire.ask(data)
        expect(answer.status in statuses, (answer.status, data[:80], answer.body))


async def overlong(port: int, chance: random.Random) -> None:
    """A body in chunks that is found too long while it is read; the refusal comes while we still send."""
    async with await Wire.open(port) as wire:
        head = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        wire.send(head)
        try:
            for _ in range(OVERLONG >> 16):
                wire.send(b"10000\r\n%b\r\n" % (b" " * (1 << 16)))
                await wire.drained()
            expect((await wire.answer()).status == 413, "an over-long body")
        except (ConnectionError, Broken):
            return  # whoever writes on may miss the answer; that it ends is what counts


async def slow_sender(port: int, chance: random.Random) -> None:
    """Half a head or half a body, and silence: 408."""
    async with await Wire.open(port) as wire:
        whole = post(call("echo", text="x" * 500))
        wire.send(whole[: chance.choice((20, 100, len(whole) - 10))])
        expect((await wire.answer()).status == 408, "silence")


async def slow_reader(port: int, chance: random.Random) -> None:
    """Answers that nobody reads."""
    wire = await Wire.open(port)
    for number in range(20):
        wire.send(post(call("echo", number, text="x" * 20_000)))
    await asyncio.sleep(chance.random())
    part(wire, chance)


MISDEEDS: tuple[Misdeed, ...] = (
    gone_mid_request,
    gone_before_the_answer,
    gone_mid_stream,
    gone_listener,
    gone_sse,
    abandoned_session,
    abandoned_stream,
    cancelled_call,
    resumed,
    refused,
    refused,
    refused,
    overlong,
    slow_sender,
    slow_reader,
)

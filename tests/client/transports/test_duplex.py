"""Calls over one pipe."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpkit.client.errors import ConnectionLost, ProtocolViolation, ServerRefused
from mcpkit.client.transports.duplex import Duplex, encode_message
from mcpkit.client.transports.transport import Call
from mcpkit.framing.ndjson import Overlong
from mcpkit.jsonrpc.codec import Limits
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Notification, Request, Response
from tests.client.scripted import soon


class Pipe:
    """Both ends in the test's hands."""

    def __init__(self) -> None:
        self.written: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.received: list[Request | Notification] = []
        self.error: ConnectionLost | None = None
        self.duplex = Duplex(self._write, self.received.append, Limits())

    async def _write(self, data: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.written.put_nowait(json.loads(data))

    async def asked(self) -> dict[str, Any]:
        return await soon(self.written.get())

    def says(self, message: object) -> None:
        self.duplex.received(json.dumps(message).encode())


def answer(id: Any, **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": result}


async def test_many_at_once_in_any_order() -> None:
    """RPC-06: each caller gets its own answer."""
    pipe = Pipe()
    calls = [asyncio.create_task(pipe.duplex.call(Call("m", {"n": n}))) for n in range(1000)]
    asked = [await pipe.asked() for _ in calls]
    assert len({message["id"] for message in asked}) == 1000
    for message in reversed(asked):
        pipe.says(answer(message["id"], n=message["params"]["n"]))
    assert await soon(asyncio.gather(*calls)) == [{"n": n} for n in range(1000)]


async def test_wrong_and_duplicate_answers_harm_nobody() -> None:
    """Issue: hostile servers are survived. CANC-03: late answers are ignored."""
    pipe = Pipe()
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    id = (await pipe.asked())["id"]
    for wrong in (str(id), id + 1, None, True, float(id)):
        pipe.says(answer(wrong))
        pipe.says({"jsonrpc": "2.0", "id": wrong, "error": {"code": 1, "message": "x"}})
    pipe.duplex.received(b"\xff not json")
    assert not task.done()
    pipe.says(answer(id, first=True))
    pipe.says(answer(id, second=True))
    assert await soon(task) == {"first": True}


async def test_errors_and_broken_answers_are_told() -> None:
    """ERR-08: an error of the server's is one, an answer that is none is another."""
    pipe = Pipe()
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    pipe.says({"jsonrpc": "2.0", "id": (await pipe.asked())["id"], "error": {"code": -1, "message": "no", "data": 1}})
    with pytest.raises(ServerRefused) as refused:
        await soon(task)
    assert (refused.value.code, refused.value.data) == (-1, 1)
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    pipe.says({"jsonrpc": "2.0", "id": (await pipe.asked())["id"], "result": "no object"})
    with pytest.raises(ProtocolViolation):
        await soon(task)


async def test_cancelling_tells_the_server() -> None:
    """CANC-01, STDIO-34: with the id's type; never for what must not be cancelled (INIT-12)."""
    pipe = Pipe()
    for cancellable in (True, False):
        task = asyncio.create_task(pipe.duplex.call(Call("m", {}, cancellable=cancellable)))
        asked = await pipe.asked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(task)
        if cancellable:
            cancelled = await pipe.asked()
            assert cancelled["method"] == "notifications/cancelled"
            assert cancelled["params"] == {"requestId": asked["id"]}
    await soon(pipe.duplex.close(5))
    assert pipe.written.empty()


async def test_a_broken_pipe_fails_all() -> None:
    """STDIO-44: with a local error; later calls fail at once and say that nothing was sent."""
    pipe = Pipe()
    tasks = [asyncio.create_task(pipe.duplex.call(Call("m", {}))) for _ in range(3)]
    for _ in tasks:
        await pipe.asked()
    pipe.duplex.fail(ConnectionLost("gone"))
    pipe.duplex.fail(ConnectionLost("gone again"))
    for task in tasks:
        with pytest.raises(ConnectionLost, match=r"^gone$"):
            await soon(task)
    with pytest.raises(ConnectionLost) as lost:
        await soon(pipe.duplex.call(Call("m", {})))
    assert not lost.value.sent


async def test_what_can_not_be_written_is_not_awaited() -> None:
    """The writer's error is the caller's."""
    pipe = Pipe()
    pipe.error = ConnectionLost("full", sent=False)
    with pytest.raises(ConnectionLost, match="full"):
        await soon(pipe.duplex.call(Call("m", {})))
    pipe.error = None
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    await pipe.asked()
    pipe.error = ConnectionLost("gone")
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled(), "that the cancellation can't be sent is no news"
    await soon(pipe.duplex.close(5))


async def test_the_server_speaks_too() -> None:
    """STDIO-20: its requests and notifications go to whoever listens; its ids are its own (STDIO-21)."""
    pipe = Pipe()
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    id = (await pipe.asked())["id"]
    pipe.says({"jsonrpc": "2.0", "id": id, "method": "ping"})
    pipe.says({"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": 1}})
    assert pipe.received == [Request(id, "ping", {}), Notification("notifications/x", {"a": 1})]
    assert not task.done()
    await pipe.duplex.send(Response(id, {}))
    assert await pipe.asked() == {"jsonrpc": "2.0", "id": id, "result": {}}
    await soon(pipe.duplex.close(5))
    with pytest.raises(ConnectionLost):
        await soon(task)


def test_what_wants_no_answer() -> None:
    """Three kinds."""
    assert json.loads(encode_message(Notification("n", {}))) == {"jsonrpc": "2.0", "method": "n"}
    assert json.loads(encode_message(Response("a", {"x": 1})))["id"] == "a"
    refused = json.loads(encode_message(ErrorResponse(1, RpcError(-1, "m"))))
    assert refused == {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "m"}}


# ── answers of which it can't be told whose they are ────────────────────────────────────────────────────────────────

UNREADABLE = [
    b'{"jsonrpc":"2.0","id":%d,"result":{"n":NaN}}',
    b'{"jsonrpc":"2.0","id":%d,"result":{"text":"\xff\xfe"}}',
    b'{"jsonrpc":"2.0","id":%d,"result":{"text":"cut o',
    b'{"jsonrpc":"2.0","id":%d}',
    b'{"id":%d,"result":{}}',
    b'{"jsonrpc":"2.0","id":%d,"result":[1]}',
    b'{"jsonrpc":"2.0","id":%d,"result":{"a":1,"a":2}}',
    b'[{"jsonrpc":"2.0","id":%d,"result":{"n":NaN}}]',
    b'{"result":{"id":99,"x":NaN},"id":%d,"jsonrpc":"2.0"}',
]


@pytest.mark.parametrize("line", UNREADABLE)
async def test_an_unreadable_answer_fails_its_call_alone(line: bytes) -> None:
    """Its id can still be read: who waits is told at once, and the others go on."""
    pipe = Pipe()
    calls = [asyncio.create_task(pipe.duplex.call(Call("m", {}))) for _ in range(3)]
    ids = [(await pipe.asked())["id"] for _ in calls]
    pipe.duplex.received(line % ids[1])
    with pytest.raises(ProtocolViolation):
        await soon(calls[1])
    for n in (0, 2):
        pipe.says(answer(ids[n], n=n))
    assert [await soon(calls[n]) for n in (0, 2)] == [{"n": 0}, {"n": 2}]


NAMELESS = [
    b'{"jsonrpc":"2.0","result":{"n":NaN}}',
    b'{"jsonrpc":"2.0","result":{"text":"\xff',
    b'{"jsonrpc"',
    b'  "jsonrpc": "2.0",',
    '{"jsonrpc":"2.0"'.encode("utf-16"),
    b"[]",
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
    Overlong(10, b'{"jsonrpc":"2.0","result":{"text":"aaaa'),
]


@pytest.mark.parametrize("line", NAMELESS)
async def test_what_names_nobody_fails_the_only_call_there_is(line: bytes | Overlong) -> None:
    """It can only be meant for that one; the next call works."""
    pipe = Pipe()
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    await pipe.asked()
    pipe.duplex.received(line)
    with pytest.raises((ProtocolViolation, ServerRefused)):
        await soon(task)
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    pipe.says(answer((await pipe.asked())["id"], fine=True))
    assert await soon(task) == {"fine": True}


@pytest.mark.parametrize("line", NAMELESS)
async def test_among_several_it_is_the_one_that_is_left(line: bytes | Overlong) -> None:
    """None is failed that is still answered; the last one can only be the one that was meant."""
    pipe = Pipe()
    calls = [asyncio.create_task(pipe.duplex.call(Call("m", {}))) for _ in range(3)]
    ids = [(await pipe.asked())["id"] for _ in calls]
    pipe.duplex.received(line)
    pipe.says(answer(ids[2], n=2))
    assert await soon(calls[2]) == {"n": 2}
    assert not calls[0].done()
    later = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    later_id = (await pipe.asked())["id"]
    pipe.says(answer(ids[0], n=0))
    assert await soon(calls[0]) == {"n": 0}
    with pytest.raises((ProtocolViolation, ServerRefused)):
        await soon(calls[1])
    pipe.says(answer(later_id, n=3))
    assert await soon(later) == {"n": 3}


@pytest.mark.parametrize("id", [None, "1", "stranger", 99, 1.0, True])
@pytest.mark.parametrize("failed", [True, False])
async def test_an_answer_with_a_wrong_id_is_not_waited_for_in_vain(id: Any, failed: bool) -> None:
    """The right answer may follow; where none does, the call fails long before its deadline, and says why."""
    pipe = Pipe()
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    await pipe.asked()
    pipe.says({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": "x"}} if failed else answer(id))
    with pytest.raises((ProtocolViolation, ServerRefused)):
        await soon(task)


@pytest.mark.parametrize(
    "line",
    [
        *(b"Listening on stdio", b"[INFO] {ready}", b"\xff\xfe\x00", b"5", b"null", b"{ready}", b"{}"),
        *(b'{"level":"info","msg":"NaN"}', b'{"level":"info","n":NaN}', b'[1,2,{"a":1}]', b'{"time":1,"id":1}'),
        *(b'{"jsonrpc":"2.0","method":"n","params":{"n":NaN}}', b'{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}'),
        Overlong(10, b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"aaa'),
        Overlong(10, b"aaaaaaaaaaaaaaaa"),
    ],
)
async def test_noise_and_what_the_server_says_unasked_fail_nobody(line: bytes | Overlong) -> None:
    """Banners and logs on standard output are survived, and so are broken notifications and questions."""
    pipe = Pipe()
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    id = (await pipe.asked())["id"]
    pipe.duplex.received(line)
    assert not pipe.duplex._unmatched
    pipe.says(answer(id, fine=True))
    assert await soon(task) == {"fine": True}


async def test_answers_that_come_late_or_twice_are_meant_for_nobody() -> None:
    """CANC-03: the only call there is has nothing to do with them."""
    pipe = Pipe()
    first = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    old = (await pipe.asked())["id"]
    pipe.says(answer(old))
    await soon(first)
    task = asyncio.create_task(pipe.duplex.call(Call("m", {})))
    id = (await pipe.asked())["id"]
    pipe.says(answer(old))
    pipe.duplex.received(b'{"jsonrpc":"2.0","id":%d,"result":NaN}' % old)
    assert not pipe.duplex._unmatched
    pipe.says(answer(id, fine=True))
    assert await soon(task) == {"fine": True}

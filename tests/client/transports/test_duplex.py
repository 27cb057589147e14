"""Calls over one pipe."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpkit.client.errors import ConnectionLost, ProtocolViolation, ServerRefused
from mcpkit.client.transports.duplex import Duplex, encode_message
from mcpkit.client.transports.transport import Call
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

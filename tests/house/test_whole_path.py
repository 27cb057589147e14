"""From the bytes of a whole request to the bytes of its answer, guarded by counts like the rest of the hot path.

What must never stand here: a measurement in seconds.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import orjson
import pytest

from mcpkit.fastapi import create_app
from mcpkit.server import Server
from mcpkit.settings import Settings
from mcpkit.transports.program import HttpProgram
from tests.house.test_hot_path import DOORS, NEWEST_HANDSHAKE, SUM, add

CALLS = {"plain": 102, "handshake era, no session": 103, "envelope": 110, "session": 117, "list": 102}
"""Calls of any function for one request and its answer, metrics and the connection's own included."""
REPEATED = 100
ADDRESSES = {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 12000)}


class Sink:
    """A transport whose other end hears everything."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.spoken = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.heard.append(data)
        self.spoken.set()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ADDRESSES.get(name, default)

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        """Nothing pauses."""

    def close(self) -> None:
        """It has no socket."""


class Line:
    """One connection to a server with one tool."""

    def __init__(self) -> None:
        server = Server("hot")
        server.tool(add)
        self._program = HttpProgram(create_app(server, Settings()), Settings())
        self._program.config.load()
        protocol: Any = self._program.config.http_protocol_class
        self.sink = Sink()
        self.protocol = protocol(self._program.config, self._program.server_state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.sink)

    async def ask(self, request: bytes) -> bytes:
        """The answer, also where a task brings it."""
        self.sink.heard.clear()
        self.sink.spoken.clear()
        await fed(lambda: self.protocol.data_received(request))
        await asyncio.wait_for(self.sink.spoken.wait(), 5)
        return b"".join(self.sink.heard)

    async def session(self) -> dict[str, str]:
        """The fields that name a new session."""
        opening = {
            "protocolVersion": NEWEST_HANDSHAKE.name,
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        answer = await self.ask(written("initialize", opening, {}))
        id = answer.partition(b"mcp-session-id: ")[2].partition(b"\r\n")[0].decode()
        return {"mcp-protocol-version": NEWEST_HANDSHAKE.name, "mcp-session-id": id}

    def close(self) -> None:
        """The client has gone."""
        self.protocol.connection_lost(None)


async def fed(work: Callable[[], None]) -> None:
    """Do it as the event loop does when bytes have come: in no task."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def feed() -> None:
        work()
        done.set_result(None)

    asyncio.get_running_loop().call_soon(feed)
    await done


def written(method: str, params: dict[str, Any], headers: dict[str, str]) -> bytes:
    """A request as clients write it."""
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    usual = {"host": "127.0.0.1:12000", "accept": "application/json, text/event-stream"}
    fields = {**usual, "content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = ["POST /api HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + body


async def request(line: Line, door: str) -> bytes:
    """What to send for that kind of call."""
    if door in DOORS:
        return written("tools/call", *DOORS[door])
    headers = await line.session()
    return written("tools/list", {}, headers) if door == "list" else written("tools/call", SUM, headers)


@pytest.mark.parametrize("door", CALLS)
async def test_a_whole_request_is_lean(door: str) -> None:
    """Read, judged, served and written within the event that brings it."""
    line = Line()
    asked = await request(line, door)
    for _ in range(3):  # uvicorn reads the first; what is decided once is decided with the second
        assert b'"result":{' in await line.ask(asked)
    tasks, calls = asyncio.all_tasks(), Counter[str]()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            calls[getattr(argument, "__qualname__", repr(argument))] += 1

    def feed() -> None:
        sys.setprofile(count)
        line.protocol.data_received(asked)
        sys.setprofile(None)

    line.sink.heard.clear()
    await fed(feed)
    [answer] = line.sink.heard
    assert b'"result":{' in answer
    assert asyncio.all_tasks() == tasks, "a plain answer needs no task"
    table = "\n".join(f"{number:4} {name}" for name, number in calls.most_common())
    assert calls.total() <= CALLS[door], f"{calls.total()} calls, {CALLS[door]} are allowed\n{table}"
    line.close()


@pytest.mark.parametrize("door", CALLS)
async def test_a_whole_request_leaves_nothing_behind(door: str) -> None:
    """Not even what only the garbage collector would find: requests, connections and answers don't keep each other."""
    line = Line()
    asked = await request(line, door)
    for _ in range(3):
        await line.ask(asked)
    left = REPEATED

    def feed() -> None:
        nonlocal left
        for _ in range(2):  # the first time fills what Python keeps for the next objects of a kind
            before = sys.getallocatedblocks()
            for _ in range(REPEATED):
                line.protocol.data_received(asked)
                line.sink.heard.clear()
            left = sys.getallocatedblocks() - before

    gc.collect()
    gc.disable()
    try:
        await fed(feed)
    finally:
        gc.enable()
    assert left < REPEATED // 10, f"{left} blocks are left of {REPEATED} calls"
    line.close()

"""Many at once: thousands of open streams, one notice to all of them, calls beside them.

What must never stand here: load by wrk, tables.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from bench import wire
from bench.servers import Running, running

T = TypeVar("T")
STREAMS = 4_000
AT_ONCE = 100
PATIENCE = 120.0
MARK = b"notifications/tools/list_changed"


class Listener(asyncio.Protocol):
    """One open stream; notes when it has heard the notice."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.opened = asyncio.get_running_loop().create_future()
        self.heard = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.opened.done() and b"\r\n\r\n" in data:
            self.opened.set_result(data.startswith(b"HTTP/1.1 200"))
        if MARK in data and not self.heard.done():
            self.heard.set_result(time.perf_counter())


def _bytes(asked: wire.Request, port: int) -> bytes:
    lines = [f"{asked.method} /api HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in asked.headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(asked.data)}", "", ""]).encode() + asked.data


def _listen(port: int, era: str) -> bytes:
    if era == "modern":
        return _bytes(
            wire.request("modern", "subscriptions/listen", {"notifications": {"toolsListChanged": True}}), port
        )
    headers = {
        "Accept": "text/event-stream",
        "MCP-Protocol-Version": wire.SESSION_REVISION,
        "Mcp-Session-Id": wire.open_session(port),
    }
    return _bytes(wire.Request({}, headers, "GET"), port).replace(b"Content-Length: 0\r\n", b"")


async def _gather(server: Running, era: str, count: int) -> list[Listener]:
    """Open streams, some at a time."""
    loop, port = asyncio.get_running_loop(), server.port
    listeners: list[Listener] = []
    while len(listeners) < count:
        requests = [_listen(port, era) for _ in range(min(AT_ONCE, count - len(listeners)))]
        made = [loop.create_connection(partial(Listener, asked), "127.0.0.1", port) for asked in requests]
        some = [listener for _, listener in await asyncio.gather(*made)]
        if not all(await asyncio.gather(*(listener.opened for listener in some))):
            raise RuntimeError("a stream was refused")
        listeners += some
    return listeners


async def _crowd(server: Running, era: str, count: int) -> tuple[float, float]:
    loop, port = asyncio.get_running_loop(), server.port
    before = server.rss_kib()
    listeners = await _gather(server, era, count)
    each = (server.rss_kib() - before) / count
    took = []
    for _ in range(3):
        began = time.perf_counter()
        session = None if era == "modern" else wire.open_session(port)
        await asyncio.to_thread(wire.send, port, wire.call(era, "broadcast", {}, session))
        took.append(max(await asyncio.gather(*(listener.heard for listener in listeners))) - began)
        for listener in listeners:
            listener.heard = loop.create_future()
    for listener in listeners:
        listener.transport.abort()
    return each, statistics.median(took) * 1e3


def streams(name: str, era: str, count: int = STREAMS) -> tuple[float, float]:
    """KiB of the server per open stream, and milliseconds until the last of them has heard a notice.

    Raises: RuntimeError where streams can't be opened, TimeoutError.
    """
    _many_files()
    with running(name, BENCH_STREAMING="1") as server:
        return asyncio.run(asyncio.wait_for(_crowd(server, era, count), PATIENCE))


def beside(server: Running, era: str, measure: Callable[[], T], count: int = STREAMS) -> T:
    """What ``measure`` says of a server while streams are open there.

    Raises: RuntimeError where streams can't be opened, TimeoutError.
    """

    async def go() -> T:
        listeners = await asyncio.wait_for(_gather(server, era, count), PATIENCE)
        try:
            return await asyncio.to_thread(measure)
        finally:
            for listener in listeners:
                listener.transport.abort()

    _many_files()
    return asyncio.run(go())


def _many_files() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

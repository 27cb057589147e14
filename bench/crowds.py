"""Many at once: thousands of open streams, one notice to all of them, thousands of sessions that come and go.

What must never stand here: load by wrk, tables.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from functools import partial
from typing import Any

from bench import wire
from bench.servers import Running, running

STREAMS = 4_000
SESSIONS = 10_000
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


async def _crowd(server: Running, era: str, count: int) -> tuple[float, float]:
    loop, port = asyncio.get_running_loop(), server.port
    before = server.rss_kib()
    listeners: list[Listener] = []
    while len(listeners) < count:
        requests = [_listen(port, era) for _ in range(min(AT_ONCE, count - len(listeners)))]
        made = [loop.create_connection(partial(Listener, asked), "127.0.0.1", port) for asked in requests]
        some = [listener for _, listener in await asyncio.gather(*made)]
        if not all(await asyncio.gather(*(listener.opened for listener in some))):
            raise RuntimeError("a stream was refused")
        listeners += some
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
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with running(name, BENCH_STREAMING="1") as server:
        return asyncio.run(asyncio.wait_for(_crowd(server, era, count), PATIENCE))


def sessions(name: str, count: int = SESSIONS) -> dict[str, float]:
    """KiB per abandoned session, MiB before, with all of them, and once they are ended; µs to serve a call with all."""
    with running(name) as server:
        first = wire.open_session(server.port)
        before = server.rss_kib()
        known = [_opened(server.port) for _ in range(count - 1)]
        full = server.rss_kib()
        wire.check(server.port, wire.call("session", "echo", {"text": "x"}, first), "x")
        for session in known:
            headers = {"MCP-Protocol-Version": wire.SESSION_REVISION, "Mcp-Session-Id": session}
            wire.send(server.port, wire.Request({}, headers, "DELETE"))
        again = [_opened(server.port) for _ in range(count - 1)]
        return {
            "KiB per session": (full - before) / len(known),
            "MiB with one": before / 1024,
            "MiB with all": full / 1024,
            "MiB with all, the second time": server.rss_kib() / 1024 if again else 0.0,
        }


def _opened(port: int) -> str:
    _, headers, _ = wire.send(port, wire.initialize())
    return headers["mcp-session-id"]

"""What fits on a machine: calls a second and core, memory per session and stream, and what each asks of Redis.

``python -m bench.capacity`` prints the table of docs/operations.md; it takes two minutes. What must never stand here:
other servers (run.py).
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench import wire
from bench.crowds import Listener, _listen
from bench.load import wrk
from bench.servers import Running, end, running

SECONDS = 5.0
SESSIONS = 3000
STREAMS = 1000
AT_ONCE = 50
TICKS = os.sysconf("SC_CLK_TCK")


class Redis:
    """A Redis of our own, asked in its inline form."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self._process = process

    def number(self, section: str, name: str) -> float:
        """One number of ``INFO``."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            line.sendall(f"INFO {section}\r\n".encode())
            found = line.recv(65_536).decode()
            while f"{name}:" not in found:
                found += line.recv(65_536).decode()
        return float(found.partition(f"{name}:")[2].split("\r\n")[0].split(",")[0].removeprefix("calls="))

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def redis_server() -> Iterator[Redis]:
    """As it is deployed: every write in the append-only file."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    assert program is not None, "redis-server is missing"
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        process = subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.02)
            yield Redis(port, process)
        finally:
            end(process)


def calls(server: Running, redis: Redis | None, era: str) -> str:
    """One kind of call under load: its cost at the server, and what it asks of Redis."""
    session = wire.open_session(server.port) if era == "session" else None
    asked = wire.call(era, "echo", {"text": "hello"}, session)
    wire.check(server.port, asked, "hello")
    wrk(server.port, asked.lua(), 1)
    used, there = server.cpu_seconds(), redis.cpu_seconds() if redis else 0.0
    steps = redis.number("commandstats", "cmdstat_evalsha") if redis and era == "session" else 0.0
    done, _ = wrk(server.port, asked.lua(), SECONDS)
    micros = (server.cpu_seconds() - used) / done * 1e6
    text = f"{micros:,.0f} µs, {1e6 / micros:,.0f} a second and core"
    if redis and era == "session":
        asked_of = (redis.number("commandstats", "cmdstat_evalsha") - steps) / done
        text += f"; {asked_of:.1f} steps of Redis, {(redis.cpu_seconds() - there) / done * 1e6:,.0f} µs there"
    return text


def sessions(server: Running, redis: Redis | None) -> str:
    """Memory of each of many sessions that were opened and left."""
    before, there = server.rss_kib(), redis.number("memory", "used_memory") if redis else 0.0
    for _ in range(SESSIONS):
        wire.open_session(server.port)
    return _each(server, redis, SESSIONS, before, there)


def _each(server: Running, redis: Redis | None, count: int, before: float, there: float) -> str:
    text = f"{(server.rss_kib() - before) / count:,.1f} KiB"
    if redis:
        text += f"; {(redis.number('memory', 'used_memory') - there) / count / 1024:,.1f} KiB in Redis"
    return text


async def streams(server: Running, redis: Redis | None) -> str:
    """Memory of each of many sessions with an open stream."""
    before, there = server.rss_kib(), redis.number("memory", "used_memory") if redis else 0.0
    loop, listeners = asyncio.get_running_loop(), list[Listener]()
    while len(listeners) < STREAMS:
        asked = [_listen(server.port, "session") for _ in range(AT_ONCE)]
        made = [loop.create_connection(partial(Listener, one), "127.0.0.1", server.port) for one in asked]
        some = [listener for _, listener in await asyncio.gather(*made)]
        assert all(await asyncio.gather(*(listener.opened for listener in some))), "a stream was refused"
        listeners += some
    text = _each(server, redis, STREAMS, before, there)
    for listener in listeners:
        listener.transport.abort()
    return text


def measured(redis: Redis | None) -> Iterator[tuple[str, str]]:
    """The lines of one column."""
    environment = {"MCP_SERVER_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0"} if redis else {}
    with running("ours", **environment) as server:
        yield "a process that has just begun", f"{server.rss_kib() / 1024:,.0f} MiB"
        yield "a call without a session", calls(server, redis, "modern")
        yield "a call in a session", calls(server, redis, "session")
        yield "an idle session", sessions(server, redis)
    with running("ours", **environment) as server:
        yield "a session with an open stream", asyncio.run(streams(server, redis))


def main() -> None:
    """Print the table."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    alone = dict(measured(None))
    with redis_server() as redis:
        shared = dict(measured(redis))
    print("| One more of | in this process's memory | over Redis |\n|---|---|---|")
    for name, figure in alone.items():
        print(f"| {name} | {figure} | {shared[name]} |")


if __name__ == "__main__":
    main()

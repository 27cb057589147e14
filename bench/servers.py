"""The servers that are compared: how each is started, and what its processes have used.

What must never stand here: a request, a table.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent
PEERS = BENCH / "peers"
READY_SECONDS = 30.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """One server of the comparison."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    sessions: bool = True
    """Whether it has sessions at all."""

    @property
    def installed(self) -> bool:
        """Whether bench/setup has made what it needs."""
        return Path(self.command[0]).exists() and (not self.command[0].endswith("node") or _node_modules().exists())


def _node_modules() -> Path:
    return PEERS / "node_modules/@modelcontextprotocol/server"


def _in(environment: str, *arguments: str) -> tuple[str, ...]:
    return (str(BENCH / environment / "bin/python"), *arguments)


def _here(script: str) -> tuple[str, ...]:
    return (sys.executable, str(PEERS / script))


_SDK = str(PEERS / "sdk.py")
PEERS_BY_NAME = {
    peer.name: peer
    for peer in (
        Peer("limit", "raw ASGI app + orjson (the limit)", _here("limit.py")),
        Peer("ours", "this framework, metrics counted", (sys.executable, str(BENCH / "server.py"))),
        Peer("fastapi", "plain FastAPI endpoint", _here("plain_fastapi.py"), sessions=False),
        Peer(
            "typescript",
            "TypeScript SDK 2.4, JSON mode",
            ("/usr/bin/node", str(PEERS / "typescript.mjs")),
        ),
        Peer("sdk-low", "Python SDK 2.3, low level, JSON mode", _in(".venv-mcp", _SDK, "low")),
        Peer("sdk-high", "Python SDK 2.3, high level, JSON mode", _in(".venv-mcp", _SDK, "high")),
        Peer("sdk", "Python SDK 2.3 as shipped", _in(".venv-mcp", _SDK, "shipped")),
        Peer("fastmcp", "FastMCP 4.1", _in(".venv-fastmcp", str(PEERS / "fastmcp_peer.py"))),
    )
}


class Running:
    """A server process, with whatever processes it started."""

    def __init__(self, peer: Peer, process: subprocess.Popen[bytes], port: int) -> None:
        self.peer = peer
        self.process = process
        self.port = port
        self.ready_seconds = 0.0

    def cpu_seconds(self) -> float:
        """User and system time of the whole process tree so far."""
        return sum(map(cpu_of, self.pids()))

    def rss_kib(self) -> int:
        """Resident memory of the whole process tree."""
        pages = 0
        for pid in self.pids():
            with suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * PAGE_KIB

    def pids(self) -> Iterator[int]:
        """The process and all that it started."""
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            with suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (thread / "children").read_text().split())


def cpu_of(pid: int) -> float:
    """User and system time of one process so far, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(name: str, *, tools: int = 0, **environment: str) -> Iterator[Running]:
    """A server that is up; it is ended, and waited for, afterwards."""
    peer, port = PEERS_BY_NAME[name], free_port()
    given = {"MCP_SERVER_HOST": "127.0.0.1", "MCP_SERVER_PORT": str(port), "BENCH_TOOLS": str(tools)}
    given["MCP_CALLER_SHARE"] = "100"  # all load comes from one address
    began = time.perf_counter()
    process = subprocess.Popen(
        peer.command,
        env=plain_environment() | peer.environment | given | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=BENCH.parent,
    )
    server = Running(peer, process, port)
    try:
        _await_ready(server)
        server.ready_seconds = time.perf_counter() - began
        yield server
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """End one process that we started."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def plain_environment() -> dict[str, str]:
    """This process's environment without settings that would change a server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "BENCH_", "PYTHON"))}
    return kept | {"PYTHONPATH": str(BENCH.parent), "NODE_ENV": "production"}


def free_port() -> int:
    """A port that nobody listens on, above those that people use."""
    for port in range(22_000 + os.getpid() % 2000, 26_000):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port between 22000 and 26000")


def _await_ready(server: Running) -> None:
    deadline = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"{server.peer.name} ended at once, with {server.process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            connection.request("OPTIONS", "/api")
            connection.getresponse().read()
            connection.close()
        except OSError:
            time.sleep(0.002)
        else:
            return
    raise RuntimeError(f"{server.peer.name} does not answer")

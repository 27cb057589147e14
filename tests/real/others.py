"""Servers that others wrote, each in a process of its own: started, killed, started again; and the way there, broken.

What must never stand here: what is asked of them.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import ROOT, peer
from tests.fixtures.redis_server import free_port
from tests.real.conftest import SECONDS, drain, node, npm_peer

PYTHON = ("mcp1", "mcp2", "fastmcp")
NPM = ("sdk1", "server2")
PATHS = {"http": "/mcp", "sse": "/sse"}
TYPES = {"http": "streamable-http", "sse": "sse"}


def command(name: str, kind: str, port: int = 0) -> tuple[list[str], dict[str, str]]:
    """How a server is started, and what its environment needs besides."""
    if name in PYTHON:
        return [str(peer(name)), str(ROOT / "tests/peers/sdk_server.py"), name, kind, str(port)], {}
    script = str(ROOT / "tests" / "peers" / f"{name}_server.cjs")
    return [str(node()), script, kind, str(port)], {"NODE_PATH": str(npm_peer(name) / "node_modules")}


@dataclass(slots=True)
class Other:
    """A server that listens on a port of its own, or that may do so again."""

    name: str
    kind: str
    port: int
    process: subprocess.Popen[str] | None = None

    def target(self, port: int | None = None) -> dict[str, Any]:
        """What to tell our client; ``port`` where it is to go another way."""
        return {"type": TYPES[self.kind], "url": f"http://127.0.0.1:{port or self.port}{PATHS[self.kind]}"}

    def start(self) -> None:
        """Start it and wait until it listens."""
        words, environment = command(self.name, self.kind, self.port)
        process = self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment or None
        )
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "running on" in line:
                break
        else:
            pytest.fail(f"{self.name} did not start: {said}")
        drain(process.stderr)

    def kill(self) -> None:
        """kill -9."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.communicate(timeout=SECONDS)


@contextmanager
def listening(name: str, kind: str) -> Iterator[Other]:
    """A server that is up."""
    other = Other(name, kind, free_port())
    try:
        other.start()
        yield other
    finally:
        other.kill()


class Way:
    """A way to a port of this machine that can be held up and cut; ``async with``."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.free = asyncio.Event()
        """Cleared, nothing passes."""
        self.free.set()
        self._target = target
        self._ends: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._over = False
        self._server: asyncio.Server

    async def __aenter__(self) -> Way:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        self._over = True
        self.free.set()
        self.cut()
        if self._passing:  # one may just be connecting: its socket must not outlive the loop
            await asyncio.wait(self._passing, timeout=10)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn

    def cut(self) -> None:
        """Everybody on the way is cut off; the way stays open for others."""
        for end in tuple(self._ends):
            end.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {writer, back}
        self._ends |= ends
        with suppress(OSError, asyncio.CancelledError):
            if not self._over:
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        self._ends -= ends
        for end in ends:
            end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self.free.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

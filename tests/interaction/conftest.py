"""Fixtures of the matrix: ``connect`` gives connected clients of a fresh server, over whatever ``way`` the test is run.

One event loop and one uvicorn serve the whole folder. What must never stand here: what a server offers (offers.py).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from mcpkit import MCPClient, Server
from mcpkit.fastapi import create_app
from mcpkit.run import listen
from mcpkit.sessions.memory import MemoryStore
from mcpkit.transports.memory import Memory
from mcpkit.transports.program import HttpProgram
from tests.interaction.offers import SECONDS, SETTINGS, Board, build
from tests.interaction.ways import Way
from tests.schema.witness import Witness

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for this folder."""
    for item in items:
        if item.path.parent == HERE and isinstance(item, pytest.Function) and iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Guest(HttpProgram):
    """The real program, but the signals stay pytest's."""

    def capture_signals(self) -> Any:
        return nullcontext()


class Front:
    """An ASGI application that is whatever the test at hand wants it to be."""

    def __init__(self) -> None:
        self.app: Any = None
        self.url = ""
        self.program = Guest(self, SETTINGS, self._announce)
        self.started = asyncio.Event()
        self.open = 0
        """HTTP requests that are being served."""
        self._calm = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.open += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.open -= 1
            self._calm.set()

    def _announce(self) -> None:
        self.started.set()

    def unplug(self) -> None:
        """Every client's network is gone, without a goodbye."""
        for connection in tuple(self.program.server_state.connections):
            connection.transport.abort()

    async def calm(self, requests: int = 0) -> None:
        """Wait until no more than these are open."""
        async with asyncio.timeout(SECONDS):
            while self.open > requests:
                self._calm.clear()
                await self._calm.wait()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front() -> AsyncIterator[Front]:
    """A uvicorn on a free port."""
    front = Front()
    with listen("127.0.0.1", 0) as listening:
        front.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        running = asyncio.create_task(front.program.serve([listening]))
        async with asyncio.timeout(SECONDS):
            await front.started.wait()
        yield front
        front.program.stop()
        async with asyncio.timeout(SECONDS):
            await running


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What starts a server over stdio."""
    path = str(tmp_path_factory.mktemp("n") / "s")
    nursery = subprocess.Popen([sys.executable, str(HERE / "nursery.py"), path], stdout=subprocess.PIPE, text=True)
    try:
        assert nursery.stdout is not None
        assert nursery.stdout.readline() == "ready\n"
        yield [sys.executable, "-I", "-S", str(HERE / "launcher.py"), path]
    finally:
        nursery.terminate()
        nursery.communicate(timeout=SECONDS)


@dataclass
class Connect:
    """Makes connected clients of one server."""

    way: Way
    front: Front
    command: list[str]
    server: Server
    board: Board
    store: MemoryStore = field(default_factory=MemoryStore)
    url: str = ""

    def __post_init__(self) -> None:
        if self.way.is_http:
            self.front.app = create_app(self.server, SETTINGS, store=self.store)
            self.url = f"{self.front.url}/{'sse' if self.way.transport == 'sse' else 'api'}"

    @asynccontextmanager
    async def __call__(self, **options: Any) -> AsyncIterator[MCPClient]:
        """One more client; the server is the same for all, except over stdio, where each has a process of its own."""
        async with AsyncExitStack() as stack:
            if self.way.is_http:
                limits = httpx.Limits(max_connections=None)
                options["http"] = await stack.enter_async_context(httpx.AsyncClient(verify=False, limits=limits))
            given = {"mode": self.way.revision, "timeout": SECONDS, **options}
            client = MCPClient(self.target(), **given)
            async with asyncio.timeout(SECONDS * 2):
                yield await stack.enter_async_context(client)

    def target(self) -> Any:
        """What the client is told to connect to."""
        match self.way.transport:
            case "memory":
                return lambda: Memory(self.server.kernel, settings=SETTINGS)
            case "stdio":
                return self.command
            case "sse":
                return {"type": "sse", "url": self.url}
        return {"type": "streamable-http", "url": self.url}


@pytest.fixture(scope="session")
def offered() -> tuple[Server, Board]:
    """The server of this process."""
    board = Board()
    return build(board), board


@pytest.fixture(scope="session")
def witness(offered: tuple[Server, Board]) -> Witness:
    """Holds everything that the server says against the official schema of its revision."""
    watching = Witness()
    watching.watch(offered[0])
    return watching


@pytest_asyncio.fixture(loop_scope="session")
async def connect(
    way: Way, front: Front, command: list[str], offered: tuple[Server, Board], witness: Witness
) -> AsyncIterator[Connect]:
    """Connected clients of one server, over this way; what the server says must fit the schema of its revision."""
    offered[1].clear()
    witness.faults.clear()
    connect = Connect(way, front, command, *offered)
    async with front.app.router.lifespan_context(front.app) if way.is_http else nullcontext():
        yield connect
    assert not witness.faults, "\n".join(witness.faults)

"""Three real server processes behind a real nginx, over a real Redis; each can be ended and started in its place.

What must never stand here: what clients do, what is expected of them.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.conftest import ROOT, require
from tests.fixtures.redis_server import RedisServer, free_port, redis_server
from tests.fixtures.started import environment

READY_SECONDS = 30.0
DRAIN_SECONDS = "3"
"""As in compose.yaml; longer than nginx keeps an idle connection."""
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@dataclass(slots=True)
class Replica:
    """One server process at a port that stays its own."""

    port: int
    folder: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start without waiting."""
        self.starts += 1
        command = [sys.executable, str(ROOT / "tests/fixtures/probe_server.py"), "--port", str(self.port)]
        with (self.folder / f"{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)

    def wait_ready(self) -> None:
        """Wait until it wants requests."""
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, f"not ready: {self.log()}"
            assert self.process is not None
            assert self.process.poll() is None, f"ended: {self.log()}"
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def log(self) -> str:
        """The end of what it wrote."""
        return (self.folder / f"{self.port}.log").read_text(errors="replace")[-3000:]


@dataclass(slots=True)
class Place:
    """Everything that runs; :attr:`url` is nginx."""

    folder: Path
    redis: RedisServer
    replicas: list[Replica]
    url: str = ""
    stack: ExitStack = field(default_factory=ExitStack)


def render(config: str, folder: Path, port: int, replicas: list[Replica]) -> str:
    """The deployed nginx.conf with this machine's addresses, and its files in a folder of our own."""
    for number, replica in enumerate(replicas, 1):
        assert f"mcp{number}:12000" in config
        config = config.replace(f"mcp{number}:12000", f"127.0.0.1:{replica.port}")
    assert "listen 8080;" in config
    config = config.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    return config.replace("/tmp/nginx", f"{folder}/nginx").replace("worker_processes auto", "worker_processes 1")


@contextmanager
def nginx(folder: Path, replicas: list[Replica]) -> Iterator[str]:
    """A proxy in front of the replicas; its URL."""
    require(NGINX, "nginx is missing; run: scripts/install system")
    assert NGINX is not None
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(render((ROOT / "deploy/nginx/nginx.conf").read_text(), folder, port, replicas))
    command = [NGINX, "-p", str(folder), "-c", str(file), "-g", "daemon off;"]
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + READY_SECONDS
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1)
                break
            except httpx.TransportError:
                assert process.poll() is None, (folder / "nginx.log").read_text()
                assert time.monotonic() < until, "nginx does not answer"
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def place(
    folder: Path,
    *,
    count: int = 3,
    redis_url: str | None = None,
    before: Callable[[RedisServer], None] = lambda _: None,
    **settings: str,
) -> Iterator[Place]:
    """Replicas, their Redis and, before three, nginx; all ready, all gone afterwards.

    ``redis_url`` puts another address before Redis, which ``before`` may prepare as soon as Redis runs.
    """
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(folder / "redis"))
        before(redis)
        usual = {"MCP_SHUTDOWN_GRACE_SECONDS": "5", "MCP_DRAIN_SECONDS": DRAIN_SECONDS}
        env = environment(MCP_SERVER_REDIS_URL=redis_url or redis.url, **{**usual, **settings})
        replicas = []
        for _ in range(count):
            taken = {one.port for one in replicas}
            port = next(port for port in iter(free_port, None) if port not in taken)
            replicas.append(Replica(port, folder, env))
        for replica in replicas:
            replica.start()
            stack.callback(_kill, replica)
        for replica in replicas:
            replica.wait_ready()
        url = stack.enter_context(nginx(folder, replicas)) if count == 3 else replicas[0].url
        yield Place(folder, redis, replicas, url, stack)


def _kill(replica: Replica) -> None:
    if replica.process is not None:
        replica.process.kill()
        replica.process.wait(10)

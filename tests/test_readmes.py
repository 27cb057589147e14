"""The documentation's commands and programs, done as a newcomer does them: top to bottom, in a fresh copy.

README.md comes first, then docs/*.md. The Chinese README has the same blocks (tests/house/test_readmes_in_step.py).
Ports are exchanged for free ones.
What must never stand here: a command that no page has.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.markdown import Block, blocks
from tests.house.tree import ROOT, project_files, text

README = Path("README.md")
PAGES = [README, *(path for path in project_files() if path.match("docs/*.md"))]
BLOCKS = [(page, block) for page in PAGES if page in project_files() for block in blocks(text(page))]
RUNNABLE = [
    pytest.param(page, block, id=f"{page} line {block.line} {block.language} {block.mark}")
    for page, block in BLOCKS
    if block.mark in ("run", "serve")
]

MAIN_PORT = "12000"
PORTS = re.compile(r"\b(12000|18080|18081)\b")
SECONDS = 200


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


class Newcomer:
    """Someone with a fresh copy, a terminal for commands, and one more for each server."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        self.ports = {port: free_port() for port in (MAIN_PORT, "18080", "18081")}
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MCP_")}
        self.environment = clean | {
            "PATH": os.pathsep.join([str(copy / ".venv/bin"), os.environ["PATH"]]),
            "MCP_SERVER_PORT": self.ports[MAIN_PORT],
            "MCP_SERVER_URL": f"http://127.0.0.1:{self.ports[MAIN_PORT]}",
            "PYTHONPATH": str(copy),
        }

    def command(self, block: Block) -> list[str]:
        """How the block is started."""
        code = PORTS.sub(lambda found: self.ports[found[0]], block.code)
        if block.language != "python":
            return ["bash", "-euo", "pipefail", "-c", code]
        script = self.copy / f"line_{block.line}.py"
        script.write_text(code, encoding="utf-8")
        return [sys.executable, str(script)]

    def run(self, block: Block) -> None:
        """Do it and wait for its end."""
        done = subprocess.run(
            self.command(block),
            cwd=self.copy,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"

    def serve(self, block: Block) -> None:
        """Start it, in the place of what listened on that port before, and wait until it answers."""
        port = next(iter(PORTS.findall(block.code)), MAIN_PORT)
        self.stop(port)
        log = self.copy / f"line_{block.line}.log"
        with log.open("wb") as output:
            self.servers[port] = subprocess.Popen(
                self.command(block),
                cwd=self.copy,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + SECONDS
        while not listening(self.ports[port]):
            ended = self.servers[port].poll()
            assert ended is None, f"it ended with {ended}:\n{log.read_text(errors='replace')}"
            assert time.monotonic() < deadline, f"no answer on port {port}:\n{log.read_text(errors='replace')}"
            time.sleep(0.05)  # the wait between two looks at the port; the loop ends by state or deadline

    def stop(self, port: str) -> None:
        """Ctrl-C, and harder when that isn't enough."""
        server = self.servers.pop(port, None)
        for means in (signal.SIGINT, signal.SIGKILL):
            if server and server.poll() is None:
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(server.pid, means)
                    server.wait(timeout=10)


def listening(port: str) -> bool:
    """Does anyone take a connection there?"""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=1):
        return True
    return False


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A copy of what is committed, and nothing that was installed beside it."""
    copy = tmp_path_factory.mktemp("newcomer") / "project"
    for path in project_files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    someone = Newcomer(copy)
    yield someone
    for port in list(someone.servers):
        someone.stop(port)


def test_the_quick_start_is_there() -> None:
    """Two commands on the first screen: one that serves, one that tests."""
    assert README in project_files(), "README.md is missing"
    first_screen = [block for page, block in BLOCKS if page == README and block.line <= 60]
    assert any(block.mark == "serve" and "scripts/serve" in block.code for block in first_screen)
    assert any("scripts/test" in block.code for block in first_screen)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "block"), RUNNABLE)
def test_block(newcomer: Newcomer, page: Path, block: Block) -> None:
    """What a page says can be done can be done, in its order."""
    if block.mark == "serve":
        newcomer.serve(block)
    else:
        newcomer.run(block)

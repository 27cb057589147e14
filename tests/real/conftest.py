"""The application as a process of its own, over HTTP and as a command, for clients that others have written.

What must never stand here: what a client does (tests/peers).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.conftest import ROOT, require

SECONDS = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Application:
    """Where it can be reached."""

    url: str
    command: list[str]

    def target(self, kind: str) -> str:
        """The same, as a client's script wants to hear it."""
        if kind == "stdio":
            return json.dumps(self.command)
        return self.url if kind == "http" else self.url.removesuffix("/api") + "/sse"


@pytest.fixture(scope="session")
def application() -> Iterator[Application]:
    """Started once."""
    program = [sys.executable, str(ROOT / "tests" / "real" / "server.py")]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [*program, "--port", "0"], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        try:
            assert process.stderr is not None
            said = [process.stderr.readline() for _ in range(3)]
            url = next((line.split()[1] for line in said if line.startswith("MCP:")), "")
            assert url, f"the application did not start: {said}"
            drain(process.stderr)
            yield Application(url, [*program, "--stdio"])
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def drain(stream: IO[str]) -> None:
    """Let a process say what it wants: a full pipe would stop it."""
    threading.Thread(target=deque, args=(stream, 0), daemon=True).start()


def found(command: list[Any]) -> Any:
    """What a client's program prints."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            list(map(str, command)),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1"},
        )
    assert done.returncode == 0, f"{done.stderr[-3000:]}\n{done.stdout[-1000:]}"
    return json.loads(done.stdout)


def node() -> Path:
    """The Node.js of the npm peers."""
    program = ROOT / ".cache" / "npm" / "node" / "node_modules" / "node" / "bin" / "node"
    require(program.exists(), "Node 22 is not installed; run: scripts/install node")
    return program


def npm_peer(name: str) -> Path:
    """The folder of an npm peer."""
    folder = ROOT / ".cache" / "npm" / name
    require((folder / ".installed").exists(), f"the peer {name} is not installed; run: scripts/install node")
    return folder

"""The official TypeScript clients and the Inspector's command line on our application."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from functools import cache
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.real.conftest import SECONDS, Application, node, npm_peer
from tests.real.test_python_clients import JOBS, KINDS, MODES, check

pytestmark = pytest.mark.node
INSPECTOR = "node_modules/.bin/mcp-inspector"


def run(command: list[Any], **environment: str) -> subprocess.CompletedProcess[str]:
    """What a Node program prints; its home is an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [node(), *map(str, command)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": folder, "NO_COLOR": "1", **environment},
        )


@cache
def driven(name: str, application: Application) -> dict[tuple[str, str], Any]:
    """What a client found on every way; one process for all."""
    jobs = [(kind, application.target(kind), mode) for kind, mode in JOBS]
    script = ROOT / "tests" / "peers" / f"{name}_client.cjs"
    done = run([script, json.dumps(jobs)], NODE_PATH=str(npm_peer(name) / "node_modules"))
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(JOBS, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_typescript_sdk_1(application: Application, kind: str) -> None:
    check(driven("sdk1", application)[kind, "legacy"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_typescript_client_2(application: Application, kind: str, mode: str) -> None:
    check(driven("client2", application)[kind, mode])


def inspected(application: Application, era: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What the Inspector's command line says."""
    how = ["--cli", application.url, "--transport", "http", "--protocol-era", era, "--format", "json"]
    return run([npm_peer("inspector") / INSPECTOR, *how, *arguments])


@pytest.mark.parametrize("era", ["auto", "legacy", "modern"])
def test_the_inspector(application: Application, era: str) -> None:
    listed = inspected(application, era, "--method", "tools/list", "--strict")
    assert listed.returncode == 0, listed.stderr
    assert "add" in listed.stdout
    call = ["--method", "tools/call", "--tool-name", "divide", "--tool-arg", "a=1"]
    good, bad = inspected(application, era, *call, "b=4"), inspected(application, era, *call, "b=0")
    assert (good.returncode, "0.25" in good.stdout) == (0, True), good.stderr
    assert bad.returncode == 5, bad.stderr

"""The clients of mcp 1.x, mcp 2.x and fastmcp on our application, each from its own environment."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST, NEWEST_HANDSHAKE
from tests.conftest import ROOT, peer
from tests.real.conftest import Application, found

KINDS = ["http", "sse", "stdio"]
MODES = ["auto", "legacy"]


def check(seen: Any) -> None:
    """What every client must have found."""
    assert "failed" not in seen, seen["failed"]
    assert {"add", "divide", "count", "ask", "echo"} <= set(seen["tools"])
    assert seen["counted"] == {"counted": 2}
    assert seen["progress"] == [[1, 2, "number 1"], [2, 2, "number 2"]]
    assert seen["echo"] == "hé"
    assert seen["ask"] == "How? Fine."
    assert seen["bad"] is True
    assert seen["unknown"] == -32602
    assert seen["resources"] > 0
    assert seen["prompts"] > 0


JOBS = [(kind, mode) for kind in KINDS for mode in MODES]


@cache
def driven(name: str, application: Application) -> dict[tuple[str, str], Any]:
    """What a client's script found on every way; one process for all, since its imports take longest."""
    jobs = [(kind, application.target(kind), mode) for kind, mode in JOBS]
    script = ROOT / "tests" / "peers" / f"{name}_client.py"
    return dict(zip(JOBS, found([peer(name), script, json.dumps(jobs)]), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_mcp_1(application: Application, kind: str) -> None:
    seen = driven("mcp1", application)[kind, "legacy"]
    check(seen)
    assert seen["revision"] in {revision.name for revision in HANDSHAKES}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_mcp_2(application: Application, kind: str, mode: str) -> None:
    seen = driven("mcp2", application)[kind, mode]
    check(seen)
    modern = mode == "auto" and kind != "sse"
    assert seen["revision"] == (NEWEST if modern else NEWEST_HANDSHAKE).name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_fastmcp(application: Application, kind: str, mode: str) -> None:
    check(driven("fastmcp", application)[kind, mode])

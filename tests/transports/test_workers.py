"""Workers share a socket, are started anew when they die, and end together; alone, they keep no sessions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.transports.workers import Workers
from tests.fixtures.started import ROOT, Started, environment, started

PROBE = "tests/fixtures/probe_server.py"
SECONDS = 20.0
USUAL = {"accept": "application/json, text/event-stream"}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers need fork")


def children(pid: int) -> set[int]:
    """The processes that this one has started."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(status.parent.name))
    return found


def until_there_are(count: int, program: Started, without: int = 0) -> set[int]:
    until = time.monotonic() + SECONDS
    while len(found := children(program.process.pid) - {without}) != count:
        assert time.monotonic() < until, found
    return found


def test_a_worker_that_dies_is_replaced_and_all_end_together() -> None:
    with started(PROBE, "--port", "0", "--workers", "3") as program:
        before = until_there_are(3, program)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        after = until_there_are(3, program, without=victim)
        assert len(after & before) == 2
        assert program.ask("tools/call", name="echo", arguments={"text": "hi"})["result"]["content"][0]["text"] == "hi"
        assert program.end() == 0
        assert sum(line.startswith("curl ") for line in program.said) == 1
        assert not any(Path(f"/proc/{pid}").exists() for pid in after)


def test_before_all_are_told_to_end_whoever_holds_the_socket_is_told_once() -> None:
    told: list[str] = []
    workers = Workers(2, lambda number: None, lambda: told.append("ending"))
    for _ in range(2):
        workers._stop(signal.SIGTERM, None)
    assert told == ["ending"]
    for pipe in (workers._alive, workers._lifeline):
        os.close(pipe)


def test_workers_do_not_outlive_their_parent() -> None:
    with started(PROBE, "--port", "0", "--workers", "2") as program:
        workers = until_there_are(2, program)
        program.process.kill()
        program.process.wait(SECONDS)
        until = time.monotonic() + SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < until, workers


def test_without_redis_workers_keep_no_sessions_and_say_so() -> None:
    """SHL-40: the handshake is answered without a session id; calls name their revision instead."""
    with started(PROBE, "--port", "0", "--workers", "2") as program, httpx.Client(base_url=program.url) as http:
        params = {
            "protocolVersion": NEWEST_HANDSHAKE.name,
            "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"},
        }
        for _ in range(5):
            opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
            answer = http.post("/api", json=opening, headers=USUAL)
            assert answer.json()["result"]["protocolVersion"] == NEWEST_HANDSHAKE.name
            assert "mcp-session-id" not in answer.headers
            call = {
                "jsonrpc": "2.0",
                "id": 2,
                "method": "tools/call",
                "params": {"name": "echo", "arguments": {"text": "x"}},
            }
            revision = {**USUAL, "mcp-protocol-version": NEWEST_HANDSHAKE.name}
            assert http.post("/api", json=call, headers=revision).json()["result"]["content"][0]["text"] == "x"
        assert http.get("/api", headers={"accept": "text/event-stream"}).status_code == 405
        assert http.get("/sse", headers={"accept": "text/event-stream"}).status_code == 405
        assert http.delete("/api").status_code == 405
        assert program.end() == 0
    assert any("without MCP_SERVER_REDIS_URL" in line for line in program.said)


def test_the_method_that_stops_a_server_stops_all_workers() -> None:
    with started(PROBE, "--port", "0", "--workers", "2", env=environment(MCP_SERVER_SHUTDOWN="server")) as program:
        until_there_are(2, program)
        program.ask("shutdown")
        assert program.ended() == 0


def test_workers_that_can_not_begin_are_given_up() -> None:
    """A fault that is always there must not be tried for ever."""
    code = (
        "from mcpkit.transports.workers import Workers, WorkersFailed\n"
        "def work(number): raise SystemExit(3)\n"
        "try: Workers(2, work).run()\n"
        "except WorkersFailed as failed: print(failed)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert "as soon as they begin" in run.stdout, run.stderr


@pytest.mark.parametrize("given", ["0", "x", "1000"])
def test_a_number_of_workers_that_makes_no_sense_is_one_clear_line(given: str) -> None:
    run = subprocess.run(
        [sys.executable, PROBE, "--workers", given], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "from 1 to 256" in run.stderr

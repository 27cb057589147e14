"""Signals that end a command end what it has started, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import require
from tests.fixtures.started import ROOT
from tests.host.console import LIMIT, console

SERVER = """
import json, os, sys
sys.stderr.close()
def say(id, result): print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    method = message["method"]
    if method == "initialize":
        say(message["id"], {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}})
    elif method == "tools/list":
        say(message["id"], {"tools": [{"name": "wait", "inputSchema": {"type": "object"}}]})
    elif method == "tools/call":
        with open(sys.argv[1], "w") as fifo: fifo.write(str(os.getpid()))
    elif "id" in message:
        error = {"code": -32601, "message": "no"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
with open(sys.argv[2], "w") as fifo: fifo.write("ended in order")
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A command whose server tells when it is called, and when its input has ended."""
    require(sys.platform != "win32", "there are no such signals")
    (tmp_path / "server.py").write_text(SERVER)
    for name in ("called", "ended"):
        os.mkfifo(tmp_path / name)
    return [sys.executable, str(tmp_path / "server.py"), str(tmp_path / "called"), str(tmp_path / "ended")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_ends_its_server_in_order(number: int, words: list[str], tmp_path: Path) -> None:
    """As at Ctrl-C: the server's input ends, it may do what it has to, and the exit code names the signal."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "mcp_client.py"), "call", "wait", "--", *words],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (tmp_path / "called").read_text()
    process.send_signal(number)
    assert (tmp_path / "ended").read_text() == "ended in order"
    assert process.communicate(timeout=LIMIT)[1] == ""
    assert process.returncode == 128 + number


def test_a_hangup_that_is_ignored_stays_ignored(words: list[str], tmp_path: Path) -> None:
    """``nohup``: the command goes on, and ends by the next signal."""
    process = subprocess.Popen(
        ["nohup", sys.executable, str(ROOT / "mcp_client.py"), "call", "wait", "--", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert (tmp_path / "called").read_text()
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert (tmp_path / "ended").read_text() == "ended in order"
    assert process.wait(LIMIT) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_chat_that_waits_for_a_line_ends_too(number: int, words: list[str], tmp_path: Path) -> None:
    """Ctrl-C only says how to leave; these signals leave."""
    pytest.importorskip("termios")
    chat = [str(ROOT / "mcp_client.py"), "chat", "--", *words]
    with console(chat, tmp_path, {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "xterm"}) as terminal:
        terminal.until("server0 is ready")
        terminal.until("> ")
        terminal.process.send_signal(number)
        assert (tmp_path / "ended").read_text() == "ended in order"
        assert terminal.ended() == 128 + number

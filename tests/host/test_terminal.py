"""Lines in, work in the loop, questions out of it; without a terminal a question has no answer."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mcpkit.host.terminal import Interrupted, Terminal, ask_hidden, uninterrupted
from tests.fixtures.started import ROOT, environment
from tests.host.console import CTRL_C, CTRL_D, console

pytest.importorskip("termios")

ASKS = """
import asyncio, sys
sys.path.insert(0, {root!r})
from mcpkit.host.terminal import Interrupted, Terminal
async def ask(terminal):
    both = await asyncio.gather(terminal.ask("one? "), terminal.ask("two? "))
    terminal.around(f"answers {{both}}")
    await asyncio.Event().wait()
with Terminal() as terminal:
    print("line", repr(terminal.read("> ")))
    try:
        terminal.attend(ask(terminal))
    except Interrupted:
        print("interrupted")
"""


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    lines = io.StringIO("one\ntwo\n")
    monkeypatch.setattr(sys, "stdin", lines)
    return lines


def test_lines_come_from_a_pipe_until_it_ends(piped: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal() as terminal:
        assert [terminal.read("> ") for _ in range(3)] == ["one", "two", None]
    assert capsys.readouterr().out == ""


def test_work_runs_in_a_loop_of_its_own(piped: io.StringIO) -> None:
    async def work() -> tuple[str, str | None]:
        await asyncio.sleep(0)
        return threading.current_thread().name, await terminal.ask("anybody? ")

    with Terminal() as terminal:
        assert terminal.attend(work()) == ("mcpkit chat", None)


def test_what_work_raises_is_raised(piped: io.StringIO) -> None:
    async def fail() -> None:
        raise ValueError("as it is")

    with Terminal() as terminal, pytest.raises(ValueError, match="as it is"):
        terminal.attend(fail())


def test_ctrl_c_cancels_the_work_and_waits_for_its_end(piped: io.StringIO) -> None:
    ended = threading.Event()

    async def work() -> None:
        try:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            ended.set()

    with Terminal() as terminal:
        with pytest.raises(Interrupted):
            terminal.attend(work())
        assert ended.is_set()


def test_what_must_end_is_not_interrupted() -> None:
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_questions_are_answered_one_at_a_time_while_work_goes_on(tmp_path: Path) -> None:
    script = tmp_path / "asks.py"
    script.write_text(ASKS.format(root=str(ROOT)))
    with console([str(script)], tmp_path, environment()) as terminal:
        terminal.until("> ")
        terminal.type("hello\n")
        terminal.until("line 'hello'")
        terminal.until("one? ")
        terminal.type("1\n")
        terminal.until("two? ")
        terminal.type(CTRL_D)
        terminal.until("answers ['1', None]")
        terminal.press(CTRL_C, "interrupted")
        assert terminal.ended() == 0


def test_a_secret_needs_a_terminal(piped: io.StringIO) -> None:
    assert ask_hidden("key: ") is None


def test_the_loop_ends_with_the_terminal() -> None:
    program = "from mcpkit.host.terminal import Terminal\nwith Terminal():\n    pass\nprint('over')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True, input=""
    )
    assert done.stdout == "over\n"

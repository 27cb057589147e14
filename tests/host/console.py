"""A program on a terminal of its own: what it shows is read, lines and keys are typed. Never a test; POSIX only."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

LIMIT = 20.0
CTRL_C, CTRL_D, TAB = "\x03", "\x04", "\t"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TAKE_THE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Console:
    """The other side of the terminal."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.shown = ""
        self._read_to = 0

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._descriptor, text.encode())

    def press(self, key: str, text: str) -> None:
        """Press a key, again and again, until this is shown: readline may miss one that comes as it begins to wait."""
        deadline = time.monotonic() + LIMIT
        while text not in self.shown[self._read_to :]:
            assert time.monotonic() < deadline, f"{key!r} does not lead to {text!r}: {self.shown[-500:]!r}"
            self.type(key)
            pause = time.monotonic() + 2.0
            while text not in self.shown[self._read_to :] and time.monotonic() < pause:
                self._more(0.2)
        self.until(text)

    def until(self, text: str) -> str:
        """Wait for the program to show this; all that it has shown since the last time."""
        deadline = time.monotonic() + LIMIT
        while text not in self.shown[self._read_to :]:
            assert time.monotonic() < deadline, f"waited for {text!r}; there was {self.shown[self._read_to :][-500:]!r}"
            assert self._more(0.2) or self.process.poll() is None, f"ended before {text!r}: {self.shown[-500:]!r}"
        at = self.shown.index(text, self._read_to) + len(text)
        since, self._read_to = self.shown[self._read_to : at], at
        return since

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {self.shown[-500:]!r}"
            self._more(0.2)
        return self.process.returncode

    def _more(self, seconds: float) -> bool:
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the program has closed its side
            return False
        self.shown += ESCAPES.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
        return bool(data)


@contextmanager
def console(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Iterator[Console]:
    """Start a Python program with these arguments; killed at the end when it has not ended."""
    ours, its = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_THE_TERMINAL, sys.executable, *command],
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=cwd,
        env={**env, "TERM": "dumb"},
        start_new_session=True,
    )
    os.close(its)
    try:
        yield Console(ours, process)
    finally:
        process.kill()
        process.wait(LIMIT)
        os.close(ours)

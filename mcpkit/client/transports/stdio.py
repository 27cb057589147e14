"""A server as a child process: one message a line on its standard input and output.

It is started without a shell, in a process group of its own, with few environment variables, and ended in order: its
input closed, then SIGTERM, then SIGKILL, each after a while; where this process ends first, whatever ends it, a
watchdog does the same. What must never stand here: restarting it (core.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.client.background import Background, log
from mcpkit.client.bodies import without_escapes
from mcpkit.client.display import clean
from mcpkit.client.errors import ConnectionLost, Unreachable
from mcpkit.client.limits import Patience
from mcpkit.client.transports.duplex import Duplex, encode_message
from mcpkit.client.transports.last_words import LastWords
from mcpkit.client.transports.transport import Call, Lost, Receive
from mcpkit.client.transports.watchdog import Watchdog
from mcpkit.framing.ndjson import LineDecoder, Overlong, encode_line
from mcpkit.jsonrpc.messages import ErrorResponse, JsonObject, Notification, Response
from mcpkit.protocol.revisions.revision import Revision

_CHUNK: Final = 64 * 1024
_INHERITED: Final = (
    (
        *("APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT", "PROCESSOR_ARCHITECTURE"),
        *("PROGRAMFILES", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERNAME", "USERPROFILE"),
    )
    if sys.platform == "win32"
    else ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
)
"""The variables that a server may inherit; secrets of this process are not among them (STDIO-47)."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start."""

    arguments: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the few inherited variables."""
    cwd: str | None = None
    stderr: Callable[[str], None] | None = None
    """Is given each line that the server writes to its standard error."""

    @property
    def name(self) -> str:
        """The program, without its folder."""
        return os.path.basename(self.arguments[0])


class Stdio:
    """The client's end of a child process."""

    def __init__(self, command: Command, patience: Patience) -> None:
        self._command = command
        self._patience = patience
        self._background = Background()
        self._writing = asyncio.Lock()
        self._last_words = LastWords()
        self._process: asyncio.subprocess.Process | None = None
        self._watchdog: Watchdog | None = None
        self._stray = ""
        """The first line of its output that is no message."""
        self._errors_read: asyncio.Task[None] | None = None
        self._duplex: Duplex | None = None
        self._lost: Lost | None = None

    async def open(self, receive: Receive, lost: Lost) -> None:
        """Start the process."""
        self._lost = lost
        self._duplex = Duplex(self._write, receive, self._patience.bounds.json)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command.arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._command.cwd,
                env={**_inherited(), **self._command.env},
                **_own_group(),
            )
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self._command.name} can't be started: {self._why_not(error)}") from error
        self._errors_read = self._background.start(self._read_errors(self._process), "server's errors")
        self._background.start(self._read(self._process, self._duplex), "server's output")
        self._watchdog = await Watchdog.over(self._process.pid)

    async def call(self, call: Call) -> JsonObject:
        """Write the request and wait for the line that answers it."""
        return await self._ready().call(call)

    async def send(self, message: Notification | Response | ErrorResponse) -> None:
        """Write it."""
        await self._write(encode_message(message))

    def speak(self, revision: Revision | None) -> None:
        """Lines look the same in every revision."""

    async def listen(self) -> None:
        """The pipe is open both ways."""

    async def close(self) -> None:
        """End the process: politely, then firmly (STDIO-40)."""
        if self._duplex is not None:
            await self._duplex.close(self._patience.deadlines.goodbye)
        process, self._process = self._process, None
        if process is not None:
            await self._end(process)
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            await watchdog.dismiss()
        await self._background.stop()

    @property
    def stray(self) -> str:
        """What was written where only messages may stand, for the end of a sentence; empty where nothing was."""
        if not self._stray:
            return ""
        return f'; it printed "{self._stray}" to standard output, which is for messages only: log to stderr'

    # ── the process ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _why_not(self, error: OSError | ValueError) -> str:
        cwd = self._command.cwd
        if cwd is not None and not os.path.isdir(cwd):
            return f"there is no folder {clean(cwd, 200)}, its cwd"
        if isinstance(error, FileNotFoundError):
            return "there is no such program; install it, or give its whole path"
        if isinstance(error, PermissionError):
            return "it is not executable; give the program that runs it, or make it so with chmod +x"
        return clean(str(error), 200)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        for step in (None, signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if step is not None:
                _signal(process, step)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience.deadlines.goodbye):
                    await process.wait()
                    break
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))  # what it has started and left behind

    async def _read(self, process: asyncio.subprocess.Process, duplex: Duplex) -> None:
        assert process.stdout is not None
        lines = LineDecoder(self._patience.bounds.message_bytes)
        while chunk := await process.stdout.read(_CHUNK):
            for line in lines.feed(chunk):
                self._read_line(line, duplex)
        for line in lines.finish():
            self._read_line(line, duplex)
        duplex.fail(self._over(await self._why(process)))

    def _read_line(self, line: bytes | Overlong, duplex: Duplex) -> None:
        if not self._stray and not isinstance(line, Overlong) and not line.lstrip().startswith((b"{", b"[")):
            self._stray = clean(without_escapes(line[:500].decode("utf-8", "replace")).strip(), 80)
        duplex.received(line)

    async def _why(self, process: asyncio.subprocess.Process) -> ConnectionLost:
        """The process closed its output: what to say about that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience.deadlines.goodbye):
                await process.wait()
                if self._errors_read is not None:  # what it started may hold its standard error open
                    await asyncio.wait({self._errors_read})
        code = "still runs" if process.returncode is None else f"ended with code {process.returncode}"
        words = str(self._last_words)
        said = f"; it said: {words}" if words else ""
        return ConnectionLost(f"{self._command.name} closed its output and {code}{said or self.stray}")

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        lines = LineDecoder(_CHUNK)
        while chunk := await process.stderr.read(_CHUNK):
            for line in lines.feed(chunk):
                if not isinstance(line, Overlong):
                    self._heard(line.decode("utf-8", "replace"))

    def _heard(self, line: str) -> None:
        self._last_words.heard(line)
        log.debug("%s: %s", self._command.name, clean(line))
        if self._command.stderr is not None:
            self._command.stderr(line)

    async def _write(self, data: bytes) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            raise self._over(ConnectionLost(f"{self._command.name} is not running", sent=False))
        async with self._writing:
            try:
                process.stdin.write(encode_line(data))
                await process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError) as error:
                raise self._over(ConnectionLost(f"{self._command.name} no longer reads its input")) from error

    def _over(self, error: ConnectionLost) -> ConnectionLost:
        """Who can't be written to is lost, though its output may end a while later."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(error)
        return error

    def _ready(self) -> Duplex:
        if self._duplex is None:
            raise ConnectionLost(f"{self._command.name} is not running", sent=False)
        return self._duplex


def _inherited() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {name: value for name, value in kept.items() if not value.startswith("()")}  # an exported shell function


def _own_group() -> dict[str, Any]:
    return {} if sys.platform == "win32" else {"start_new_session": True}


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.terminate()
        else:
            os.killpg(process.pid, number)

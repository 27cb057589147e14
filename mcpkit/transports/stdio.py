"""The standard streams as a transport: one client, one process, a message a line (transports.md §1).

The file descriptors are taken away from everybody else first, so that no ``print``, no library in C and no child
process can write between two messages or read one away. What must never stand here: what a message means (duplex.py),
anything of HTTP, whose import a client would wait for.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcpkit.framing.ndjson import LineDecoder, encode_line
from mcpkit.kernel import Kernel
from mcpkit.settings import Settings
from mcpkit.transports.duplex import Duplex

CHUNK: Final = 1 << 16
HIGH: Final = 1 << 20
"""Unread bytes above which a handler that speaks waits for the client to read."""
CHOKED: Final = 16 << 20
"""Unread bytes above which we stop reading. Far more, since a client may write all it has before it reads."""
FLUSH_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Pipes:
    """The file descriptors that the protocol is spoken on."""

    read: int
    write: int


def take_stdio() -> Pipes:
    """Keep standard input and output for the protocol; from now on ``print`` goes to stderr and input is empty.

    Call it before importing code that may print (STDIO-03). What was printed but not yet written goes to stderr too.
    """
    pipes = Pipes(os.dup(0), os.dup(1))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # started without a stderr
        os.dup2(nothing, 1)
    os.close(nothing)
    if sys.stdout is not None:
        sys.stdout.flush()
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - only there

        for fd in (pipes.read, pipes.write):
            msvcrt.setmode(fd, os.O_BINARY)
    return pipes


async def serve_stdio(kernel: Kernel, *, settings: Settings | None = None, pipes: Pipes | None = None) -> None:
    """Serve the client at the other end of the standard streams until it ends the conversation.

    Every request that came before the end of input is answered: with its result where that takes no longer than
    ``settings.grace_seconds``, else with an error that says so. ``pipes`` are those of an earlier :func:`take_stdio`.
    Cancel it to stop serving at once: then each call in flight is answered with that error.
    """
    conversation = _Conversation(kernel, settings or Settings.load(), pipes or take_stdio())
    try:
        await asyncio.shield(conversation.over)
    finally:
        await conversation.close()


def leave(seconds: float = FLUSH_SECONDS) -> None:
    """End the process within ``seconds``, with exit code 0, even if a tool's thread goes on and on (STDIO-41).

    For the very end of a program: the interpreter's own way out waits for such threads.
    """
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


class _Conversation:
    """Ties the two ends of the pipes to one :class:`Duplex`."""

    def __init__(self, kernel: Kernel, settings: Settings, pipes: Pipes) -> None:
        self._grace = settings.grace_seconds
        self._lines = LineDecoder(settings.max_body_bytes)
        self._writer = _Writer(pipes.write, self._moved)
        self._duplex = Duplex(kernel, self._writer, settings)
        self._reader = _Reader(pipes.read, self._take)
        self.over = self._duplex.over

    async def close(self) -> None:
        """End in order: nothing more is read, what was written gets out, what was cancelled cleans up."""
        self._reader.close()
        self._duplex.give_up()
        await self._duplex.gone(FLUSH_SECONDS)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._writer.drained(0)
        except TimeoutError:
            pass
        self._writer.close()

    def _take(self, chunk: bytes) -> None:
        if chunk:
            self._duplex.receive(self._lines.feed(chunk))
            self._writer.flush()  # one write for all that this chunk's messages had to say
        else:
            self._reader.close()
            self._duplex.receive(self._lines.finish())
            self._duplex.end(self._grace)
        if self._writer.waiting > CHOKED:
            self._reader.pause()

    def _moved(self) -> None:
        if self._writer.broken:
            self._duplex.close()
        elif self._writer.waiting <= HIGH:
            self._reader.resume()


class _Reader:
    """Hands chunks to ``take`` as they come, and an empty one at the end of input."""

    def __init__(self, fd: int, take: Callable[[bytes], None]) -> None:
        self._fd = fd
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._paused = True
        self._closed = False
        self._go: threading.Event | None = None
        self.resume()

    def pause(self) -> None:
        """Read no more for now; may be called twice."""
        if not self._paused and self._go is None:
            self._loop.remove_reader(self._fd)
        self._paused = True

    def resume(self) -> None:
        """Read on; may be called twice."""
        if self._closed or not self._paused:
            return
        self._paused = False
        if self._go is not None:
            self._go.set()
            return
        try:
            self._loop.add_reader(self._fd, self._readable)
        except (OSError, NotImplementedError):  # a regular file; Windows
            self._go = threading.Event()
            self._go.set()
            threading.Thread(target=self._pump, name="mcpkit: stdin", daemon=True).start()

    def close(self) -> None:
        """Read no more; may be called twice."""
        self.pause()
        if not self._closed and self._go is None:
            os.close(self._fd)
        self._closed = True

    def _readable(self) -> None:
        chunk = self._read()
        if chunk is not None:
            self._take(chunk)

    def _read(self) -> bytes | None:
        try:
            return os.read(self._fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError:  # the terminal was hung up, the socket reset
            return b""

    def _pump(self) -> None:
        """In a thread, one chunk at a time: for what an event loop can't watch."""
        assert self._go is not None
        chunk: bytes | None = None
        while chunk != b"" and self._go.wait():
            self._go.clear()
            chunk = self._read()
            try:
                self._loop.call_soon_threadsafe(self._pumped, chunk or b"")
            except RuntimeError:  # the loop has been closed
                return

    def _pumped(self, chunk: bytes) -> None:
        if not self._closed:
            self._take(chunk)
        if not self._paused and self._go is not None:
            self._go.set()


class _Writer:
    """Writes messages in order, as many as there are at once, and never waits for the client to read."""

    def __init__(self, fd: int, moved: Callable[[], None]) -> None:
        """``moved`` is called when something was written, or can't be any more."""
        self.waiting = 0
        """Bytes that the client has not taken yet."""
        self.broken = False
        self._fd = fd
        self._moved = moved
        self._loop = asyncio.get_running_loop()
        self._messages: list[bytes] = []
        self._rest = memoryview(b"")
        self._due = False
        self._blocked = False
        self._written = asyncio.Event()
        mode = os.fstat(fd).st_mode
        # A file takes everything at once; a terminal's mode is shared with the shell, and with stderr.
        self._patient = sys.platform != "win32" and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode))
        if self._patient:
            os.set_blocking(fd, False)

    def write(self, message: bytes) -> None:
        """Send a message, at the latest when the event loop comes round."""
        if self.broken:
            return
        line = encode_line(message)
        self._messages.append(line)
        self.waiting += len(line)
        if not self._due:
            self._due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what there is."""
        self._due = False
        if self.waiting and not self._blocked and not self.broken:
            self._pump()

    async def drained(self, most: int = HIGH) -> None:
        """Wait until the client has left at most that many bytes unread, or is gone."""
        while self.waiting > most and not self.broken:
            self._written.clear()
            await self._written.wait()

    def close(self) -> None:
        """Write no more."""
        if not self.broken:
            self._break()
        os.close(self._fd)

    def _pump(self) -> None:
        try:
            while self.waiting:
                if not self._rest:
                    self._rest = memoryview(b"".join(self._messages))
                    self._messages.clear()
                written = os.write(self._fd, self._rest)
                self._rest = self._rest[written:]
                self.waiting -= written
                if self._rest and self._patient:
                    break
        except BlockingIOError:
            pass
        except OSError:  # nobody reads any more
            self._break()
        self._watch(bool(self.waiting))
        self._written.set()
        self._moved()

    def _watch(self, blocked: bool) -> None:
        if blocked and not self._blocked:
            self._loop.add_writer(self._fd, self._pump)
        elif self._blocked and not blocked:
            self._loop.remove_writer(self._fd)
        self._blocked = blocked

    def _break(self) -> None:
        self.broken = True
        self.waiting = 0
        self._messages.clear()
        self._rest = memoryview(b"")
        self._watch(False)

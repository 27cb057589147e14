"""A terminal whose main thread reads while a thread of its own runs the event loop.

So a line is edited with readline, Ctrl-C reaches whoever waits, and what runs in the loop can put a question to the
user. Without a terminal, lines are read from a pipe and questions have no answer. What must never stand here: what a
line means.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import queue
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

HISTORY: Final = 1_000
GOODBYE_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 1.0
"""How often a wait looks up, for systems where Ctrl-C can't wake one."""

Complete = Callable[[str, str], Sequence[str]]
"""The whole line and the word underway → what the word may become."""


class Interrupted(Exception):
    """Ctrl-C: the work was cancelled and has ended."""


class Terminal:
    """``with Terminal() as terminal``: starts the loop; ends it, and all that runs there."""

    def __init__(self, *, history: Path | None = None, complete: Complete | None = None, plain: bool = False) -> None:
        """``plain``: read lines and ask nothing, even on a terminal."""
        self.interactive = not plain and sys.stdin.isatty() and sys.stdout.isatty()
        self._history = history
        self._complete = complete or (lambda line, word: ())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mcpkit chat", daemon=True)
        self._desk: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()  # may be put to by a signal
        self._reading: str | None = None
        self._readline: ModuleType | None = None
        self._one_at_a_time = asyncio.Lock()

    def __enter__(self) -> Self:
        self._thread.start()
        if self.interactive:
            self._readline = _set_up(self._history, self._candidates)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._readline is not None and self._history is not None:
            with contextlib.suppress(OSError):
                self._history.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._readline.write_history_file(self._history)
                self._history.chmod(0o600)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GOODBYE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    # ── the main thread ─────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, prompt: str) -> str | None:
        """The next line; None at the end of input. Ctrl-C raises KeyboardInterrupt."""
        self._reading = prompt if self.interactive else None
        try:
            return input(prompt if self.interactive else "")
        except EOFError:
            return None
        except UnicodeDecodeError:
            return ""
        except KeyboardInterrupt:
            self._reading = None
            self.around("")  # what was typed stays where it is
            raise
        finally:
            self._reading = None

    def attend(self, work: Coroutine[Any, Any, T], *, interruptible: bool = True) -> T:
        """Run it in the loop, and answer its questions, until it ends.

        Ctrl-C does not raise here, where it could strike between two lines, but is put on the desk like a question.
        Raises: Interrupted after Ctrl-C, and whatever the work raises.
        """
        self._tidy()
        with _handling(lambda: self._desk.put(_INTERRUPT if interruptible else None)):
            ended = threading.Event()
            running = asyncio.run_coroutine_threadsafe(self._watched(work, ended), self._loop)
            interrupted = self._serve(running, ended)
        if interrupted:
            raise Interrupted
        try:
            return running.result(GOODBYE_SECONDS)
        except CancelledError:  # something within has cancelled it
            raise Interrupted from None

    def _tidy(self) -> None:
        """Ctrl-C that came too late for the work before is not meant for the next; questions stay."""
        for _ in range(self._desk.qsize()):
            put = self._desk.get_nowait()
            if put not in {None, _INTERRUPT}:
                self._desk.put(put)

    async def _watched(self, work: Coroutine[Any, Any, T], ended: threading.Event) -> T:
        try:
            return await work
        finally:
            ended.set()
            self._desk.put(None)

    def _serve(self, running: Future[Any], ended: threading.Event) -> bool:
        """Do what is put on the desk until the work has ended; whether Ctrl-C was."""
        while not ended.is_set():
            with contextlib.suppress(queue.Empty):
                put = self._desk.get(timeout=LOOK_SECONDS)
                if put is _INTERRUPT:
                    running.cancel()
                    ended.wait(GOODBYE_SECONDS)
                    return True
                if put is not None:
                    put()
        return False

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, question: str) -> str | None:
        """What the user answers; None at the end of input, or where there is no terminal. One question at a time."""
        if not self.interactive:
            return None
        async with self._one_at_a_time:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[str | None] = loop.create_future()

            def settle(said: str | None) -> None:
                if not answer.done():
                    answer.set_result(said)

            def put() -> None:
                if answer.done():
                    return
                try:
                    with _handling(_raise):
                        said = self.read(question)
                except KeyboardInterrupt:
                    self._desk.put(_INTERRUPT)
                else:
                    loop.call_soon_threadsafe(settle, said)

            self._desk.put(put)
            return await answer

    def around(self, line: str) -> None:
        """Write a line without spoiling the one that is being typed."""
        reading = self._reading
        if reading is None:
            sys.stdout.write(f"{line}\n")
        else:
            typed = self._readline.get_line_buffer() if self._readline is not None else ""
            sys.stdout.write(f"\r\x1b[K{line}\n{reading}{typed}")
        sys.stdout.flush()

    def _candidates(self, word: str, state: int) -> str | None:
        line = self._readline.get_line_buffer() if self._readline is not None else word
        found = sorted(self._complete(line, word))
        return found[state] if state < len(found) else None


def _interrupt() -> None:
    """Stands for Ctrl-C on the desk; never called."""


_INTERRUPT: Final = _interrupt


def _raise() -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _handling(heard: Callable[[], object]) -> Iterator[None]:
    """Within, Ctrl-C calls this instead of raising."""
    before = signal.signal(signal.SIGINT, lambda number, frame: heard())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def uninterrupted() -> contextlib.AbstractContextManager[None]:
    """Within, Ctrl-C does nothing."""
    return _handling(lambda: None)


def ask_hidden(question: str) -> str | None:
    """A secret, typed without being shown; None where there is no terminal."""
    if not sys.stdin.isatty():
        return None
    try:
        return getpass.getpass(question)
    except EOFError:
        return None


def _set_up(history: Path | None, candidates: Callable[[str, int], str | None]) -> ModuleType | None:
    try:
        import readline  # noqa: PLC0415 - not on every system
    except ImportError:
        return None
    readline.set_completer(candidates)
    readline.set_completer_delims(" ")
    readline.parse_and_bind("bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete")
    readline.set_history_length(HISTORY)
    if history is not None:
        with contextlib.suppress(OSError):
            readline.read_history_file(history)
    return readline

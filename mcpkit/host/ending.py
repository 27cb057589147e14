"""SIGTERM and SIGHUP end a command as Ctrl-C does: connections are closed, and servers started as commands are ended.

What must never stand here: what is to be ended.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Collection, Iterator
from types import FrameType
from typing import Final

SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

REPEAT_SECONDS: Final = 0.05
"""How long a signal may stay unhandled before it is sent to the main thread once more."""
MOST_REPEATS: Final = 100
"""How often a signal is repeated at most."""

_received: list[int] = []
_repeated: set[int] = set()


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, these signals do what Ctrl-C does; one that is ignored already (nohup) stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received.clear()
    _repeated.clear()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}
    for number in taken:
        signal.signal(number, _end)
    try:
        with _until_handled(taken):
            yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def ending() -> bool:
    """One of them has come: what Ctrl-C merely interrupts is to end."""
    return bool(_received)


def code_of_interruption() -> int:
    """The exit code after Ctrl-C or one of these signals, as a shell has it."""
    return 128 + (_received[0] if _received else signal.SIGINT)


@contextlib.contextmanager
def _until_handled(numbers: Collection[int]) -> Iterator[None]:
    """Repeat these signals to the main thread until Python has handled them.

    readline waits for a line in C: a signal that comes between its last look at signals and that wait would not be
    handled before the next key is pressed. An event loop in the main thread needs no help and may take the place of
    this one's socket.
    """
    if not hasattr(signal, "pthread_kill"):
        yield
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        arguments = (reader, numbers, threading.get_ident())
        thread = threading.Thread(target=_repeat, args=arguments, name="mcpkit signals", daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            writer.shutdown(socket.SHUT_RDWR)
            thread.join()


def _repeat(reader: socket.socket, numbers: Collection[int], main: int) -> None:
    while came := reader.recv(64):
        for number in came:
            for _ in range(MOST_REPEATS if number in numbers else 0):
                time.sleep(REPEAT_SECONDS)
                if number in _received:
                    break
                _repeated.add(number)
                signal.pthread_kill(main, number)


def _end(number: int, frame: FrameType | None) -> None:
    if number in _received and number in _repeated:  # the same one once more: it was handled meanwhile
        _repeated.discard(number)
        return
    _received.append(number)
    interrupt = signal.getsignal(signal.SIGINT)
    if callable(interrupt):  # that of Python, of the event loop, or of a terminal that is being read
        interrupt(signal.SIGINT, frame)
    else:  # Ctrl-C is ignored, as in a background job of a shell; this signal is not
        raise KeyboardInterrupt

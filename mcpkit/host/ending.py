"""SIGTERM and SIGHUP end a command as Ctrl-C does: connections are closed, and servers started as commands are ended.

What must never stand here: what is to be ended.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

_received: list[int] = []


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, these signals do what Ctrl-C does; one that is ignored already (nohup) stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received.clear()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}
    for number in taken:
        signal.signal(number, _end)
    try:
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


def _end(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    interrupt = signal.getsignal(signal.SIGINT)
    if callable(interrupt):  # that of Python, of the event loop, or of a terminal that is being read
        interrupt(signal.SIGINT, frame)
    else:  # Ctrl-C is ignored, as in a background job of a shell; this signal is not
        raise KeyboardInterrupt

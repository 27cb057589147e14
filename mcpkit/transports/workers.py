"""Several processes that serve one socket: forked, watched, started anew when they die, and ended together.

What must never stand here: what a worker does, applications, anything of MCP.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from itertools import count as count_up
from types import FrameType
from typing import Final

from mcpkit.transports.program import SIGNALS, signals

WINDOW_SECONDS: Final = 30.0
MOST_DEATHS: Final = 10
"""More deaths than this, per worker and within the window, are a fault that another start won't mend."""
PAUSE_SECONDS: Final = 0.1

logger = logging.getLogger("mcpkit.run")


class WorkersFailed(Exception):
    """Workers end as soon as they begin."""


class Workers:
    """Keeps ``count`` forks of this process at ``work`` until a signal ends all; ``work`` is told its number from 0 on.

    ``ending`` is called once, before the workers are told.

    A worker that takes the place of a dead one has a number of its own.
    """

    def __init__(self, count: int, work: Callable[[int], None], ending: Callable[[], None] = lambda: None) -> None:
        self._count = count
        self._work = work
        self._ending = ending
        self._born: set[int] = set()
        self._deaths: list[float] = []
        self._failed = False
        self._numbers = count_up()
        self._stopping = False
        self._alive, self._lifeline = os.pipe()

    def run(self) -> None:
        """Start all, and wait until all have ended.

        Raises: WorkersFailed.
        """
        with signals(self._stop):
            for _ in range(self._count):
                self._start()
            while self._born:
                self._buried(*os.wait())
        os.close(self._alive)
        os.close(self._lifeline)
        if self._failed:
            raise WorkersFailed("the workers end as soon as they begin; see the lines above")

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if not self._stopping:
            self._ending()
        self._stopping = True
        self._end_all()

    def _end_all(self) -> None:
        for pid in tuple(self._born):
            os.kill(pid, signal.SIGTERM)

    def _start(self) -> None:
        number = next(self._numbers)
        sys.stderr.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a signal now would find a half-made child
        pid = os.fork()
        if pid == 0:
            self._serve(number, before)
        self._born.add(pid)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._stopping:  # said between the decision and the fork
            os.kill(pid, signal.SIGTERM)

    def _serve(self, number: int, mask: set[signal.Signals] | set[int]) -> None:
        """The life of a child; it never returns."""
        code = 1
        try:
            os.setpgid(0, 0)  # a terminal's Ctrl-C is for the parent, which tells us once
            for one in SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(self._lifeline)
            threading.Thread(target=self._follow_parent, daemon=True).start()
            self._work(number)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            logger.exception("a worker has failed")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _follow_parent(self) -> None:
        os.read(self._alive, 1)  # nothing is ever written: it returns when the parent is gone
        os.kill(os.getpid(), signal.SIGTERM)

    def _buried(self, pid: int, status: int) -> None:
        if pid not in self._born:
            return
        self._born.remove(pid)
        if self._stopping:
            return
        logger.warning("worker %d has ended (%d); starting another", pid, os.waitstatus_to_exitcode(status))
        now = time.monotonic()
        self._deaths = [at for at in self._deaths if now - at < WINDOW_SECONDS] + [now]
        if len(self._deaths) > MOST_DEATHS * self._count:
            self._failed = self._stopping = True
            self._end_all()
            return
        time.sleep(PAUSE_SECONDS)
        if not self._stopping:
            self._start()

"""A bound on the lines that callers can make the server's log write: a log that is full of one thing hides all others.

What must never stand here: what is logged, the audit trail (which is never cut).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from mcpkit.limits import Bound, BoundReached, Shares
from mcpkit.observe.logs import caller_served

SECONDS: Final = 60.0
"""For how long lines are counted."""
NEVER_CUT: Final = "mcpkit.audit"

logger = logging.getLogger("mcpkit.log")


class LogLines(logging.Filter):
    """Lets so many warnings and errors through in a minute, and a share of them for each caller and kind of line.

    The first line of the next minute is preceded by one that says how many were left out.
    """

    def __init__(self, most: int, share: int, now: Callable[[], float] = monotonic) -> None:
        """At most ``most`` lines, ``share`` per cent of them of one caller and kind."""
        super().__init__()
        self._bound = Bound("lines of the log in a minute", "MCP_MAX_LOG_LINES", most, share)
        self._now = now
        self._ends = now() + SECONDS
        self._lines = Shares(self._bound)
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.levelno < logging.WARNING or record.name in (NEVER_CUT, logger.name):
            return True
        if self._now() >= self._ends:
            self._begin()
        try:
            self._lines.take(f"{caller_served()}\n{record.name}\n{record.msg}")
        except BoundReached:
            self._left_out += 1
            return False
        return True

    def _begin(self) -> None:
        left_out, self._left_out = self._left_out, 0
        self._ends, self._lines = self._now() + SECONDS, Shares(self._bound)
        if left_out:
            logger.warning(
                "%d lines were left out: %d may be written in a minute, %d of one kind for one caller; see "
                "MCP_MAX_LOG_LINES and MCP_CALLER_SHARE",
                left_out,
                self._bound.most,
                self._bound.each,
            )

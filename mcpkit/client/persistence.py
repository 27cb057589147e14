"""How often a request is sent again, and when it is given up: never what may have been served and must not be twice.

What must never stand here: sending, what an answer means.
"""

from __future__ import annotations

import asyncio
from typing import Final

from mcpkit.client.errors import ConnectionLost, HttpRefused, SessionEnded, Unreachable
from mcpkit.client.limits import Patience

_TRIES: Final = 3
_TRIES_AS_TOLD: Final = 10
"""The same where the server itself says when to come again."""
_LONGEST_WAIT: Final = 600.0
_BREATH: Final = 0.05


class Persistence:
    """How often one request has failed, and whether that is reason enough to give up.

    ``seconds`` is the most that all the waiting between attempts may take.
    """

    def __init__(self, patience: Patience, *, repeatable: bool, seconds: float | None) -> None:
        self._patience = patience
        self._repeatable = repeatable
        self._failures = 0
        self._renewed = False
        self._until = asyncio.get_running_loop().time() + (_LONGEST_WAIT if seconds is None else seconds)

    def pause_after(self, error: ConnectionLost | Unreachable | HttpRefused) -> float:
        """Seconds to wait before the request is sent again.

        Raises: the error, when it must not be or has been often enough.
        """
        if isinstance(error, SessionEnded):
            return self._after_end(error)
        self._failures += 1
        if isinstance(error, HttpRefused):
            return self._after_refusal(error)
        if isinstance(error, Unreachable):
            if self._failures >= _TRIES or not error.retryable:
                raise error
            return self._patience.pauses.before(self._failures - 1)
        if self._failures > 1 or (error.sent and not self._repeatable):
            raise error
        return 0.0

    def _after_end(self, error: SessionEnded) -> float:
        """A session is begun anew once; what a new one refuses, too, is refused for another reason."""
        if self._renewed:
            raise error.refusal or error
        self._renewed = True
        return 0.0

    def _after_refusal(self, error: HttpRefused) -> float:
        tries = _TRIES if error.retry_after is None else _TRIES_AS_TOLD
        if not error.retryable or self._failures >= tries or (error.served and not self._repeatable):
            raise error
        pause = self._patience.pauses.before(self._failures - 1)
        if error.retry_after is not None:
            pause = max(error.retry_after, _BREATH * (self._failures - 1))
        if asyncio.get_running_loop().time() + pause > self._until:  # it would be given up before it is sent
            raise error
        return pause

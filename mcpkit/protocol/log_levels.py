"""Log messages to clients: the levels, and what a session hears (LOG-01, LOG-02).

What must never stand here: the server's own log (that is the standard library's), who is connected.
"""

from __future__ import annotations

from typing import Final

from mcpkit.protocol.types import LOG_LEVELS

DEFAULT_LEVEL: Final = "info"
"""What a handshake session hears before it has set a level (LOG-02: the server decides)."""
_RANK: Final = {level: rank for rank, level in enumerate(LOG_LEVELS)}


def is_level(level: object) -> bool:
    """Whether the specification knows that level."""
    return isinstance(level, str) and level in _RANK


def reaches(level: str, wanted: str) -> bool:
    """Whether a message of ``level`` is for who wants to hear ``wanted`` and above.

    Raises: ValueError when there is no such level.
    """
    if level not in _RANK:
        raise ValueError(f"no log level {level!r}; the levels are {', '.join(LOG_LEVELS)}")
    return _RANK[level] >= _RANK[wanted]

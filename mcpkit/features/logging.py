"""Log messages to the client: the levels, what a caller has asked to hear, and ``logging/setLevel``.

What must never stand here: the server's own log (that is the standard library's), a revision's date.
"""

from __future__ import annotations

from typing import Any, Final

from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.envelope import LOG_LEVELS
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.revision import LogGate

DEFAULT_LEVEL: Final = "info"
"""What a handshake session hears before it has set a level (LOG-02: the server decides)."""
_RANK: Final = {level: rank for rank, level in enumerate(LOG_LEVELS)}


def audible(exchange: Exchange, level: str) -> bool:
    """Whether this caller wants to hear a message of that level (LOG-02, LOG-03).

    Raises: ValueError when there is no such level.
    """
    if level not in _RANK:
        raise ValueError(f"no log level {level!r}; the levels are {', '.join(LOG_LEVELS)}")
    wanted = _wanted(exchange)
    return wanted is not None and _RANK[level] >= _RANK[wanted]


def _wanted(exchange: Exchange) -> str | None:
    gate = exchange.revision.log_gate
    if gate is LogGate.REQUEST_META:
        return exchange.log_level
    if gate is LogGate.NEVER:
        return None
    return (exchange.session.log_level if exchange.session else None) or DEFAULT_LEVEL


async def log(exchange: Exchange, level: str, data: Any, logger: str | None = None) -> None:
    """Send ``notifications/message`` on the request's own stream, if the caller wants to hear it."""
    if not audible(exchange, level):
        return
    params: JsonObject = {"level": level, "data": data}
    if logger is not None:
        params["logger"] = logger
    await exchange.notify("notifications/message", params)


async def set_level(exchange: Exchange) -> JsonObject:
    """``logging/setLevel``: from now on this session hears that level and above (LOG-02).

    Raises: InvalidParams.
    """
    level = exchange.params.get("level")
    if not isinstance(level, str) or level not in _RANK:
        raise InvalidParams(f"level must be one of {', '.join(LOG_LEVELS)}")
    if exchange.session is not None:
        exchange.session.log_level = level
    return {}

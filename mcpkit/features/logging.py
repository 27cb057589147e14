"""Log messages to the client: the levels, what a caller has asked to hear, and ``logging/setLevel``.

What must never stand here: the server's own log (that is the standard library's), a revision's date.
"""

from __future__ import annotations

from typing import Any

import orjson

from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.changes import LOGGED, Notice
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.log_levels import DEFAULT_LEVEL, is_level, reaches
from mcpkit.protocol.revisions.revision import LogGate
from mcpkit.protocol.types import LOG_LEVELS


def audible(exchange: Exchange, level: str) -> bool:
    """Whether this caller wants to hear a message of that level (LOG-02, LOG-03).

    Raises: ValueError when there is no such level.
    """
    wanted = _wanted(exchange)
    return reaches(level, wanted or DEFAULT_LEVEL) and wanted is not None


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
    await exchange.notify(LOGGED, _message(level, data, logger))


def notice(level: str, data: Any, logger: str | None = None) -> Notice:
    """A log message outside any request, as it is now: what ``data`` becomes later is not told.

    Raises: ValueError when there is no such level; TypeError when ``data`` is not JSON.
    """
    reaches(level, DEFAULT_LEVEL)
    return Notice.logged(_message(level, orjson.loads(encode(data)), logger))


def _message(level: str, data: Any, logger: str | None) -> JsonObject:
    params: JsonObject = {"level": level, "data": data}
    if logger is not None:
        params["logger"] = logger
    return params


async def set_level(exchange: Exchange) -> JsonObject:
    """``logging/setLevel``: from now on this session hears that level and above (LOG-02).

    Raises: InvalidParams.
    """
    level = exchange.params.get("level")
    if not is_level(level):
        raise InvalidParams(f"level must be one of {', '.join(LOG_LEVELS)}")
    if exchange.session is not None:
        exchange.session.log_level = level
    return {}

"""What a line of the server's log says of the request that was being served when it was written.

Enough to find the other lines of the same request, in every log that it went through. What must never stand here:
arguments, tokens, session ids in clear.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final, TypeVar

from mcpkit.observe.audit import fingerprint
from mcpkit.observe.events import Request

LONGEST_ID: Final = 128
_TRACE: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

R = TypeVar("R", bound=Request)
T = TypeVar("T")
_SERVED: Final[ContextVar[Request | None]] = ContextVar("mcpkit_served", default=None)


async def remembering(request: R, call: Callable[[R], Awaitable[T]]) -> T:
    """A hook for ``server.use``: what is logged while the request is served knows of it."""
    token = _SERVED.set(request)
    try:
        return await call(request)
    finally:
        _SERVED.reset(token)


def caller_served() -> str:
    """Who is being served, where that is known: with a log of JSON lines."""
    request = _SERVED.get()
    return "" if request is None else request.caller


def of_request() -> dict[str, str]:
    """``request``, ``method``, ``session`` (a fingerprint) and ``trace``, where there is such a thing."""
    request = _SERVED.get()
    if request is None:
        return {}
    session = request.session
    said = {
        "request": str(request.id)[:LONGEST_ID],
        "method": request.method[:64],
        "session": fingerprint(session.id) if session else None,
        "trace": _trace(request),
    }
    return {name: value for name, value in said.items() if value is not None}


def _trace(request: Request) -> str | None:
    """The id of the caller's trace: W3C Trace Context in ``_meta`` (META-05), else in the HTTP header."""
    meta = request.params.get("_meta")
    parent = meta.get("traceparent") if isinstance(meta, dict) else None
    found = _TRACE.fullmatch(parent if isinstance(parent, str) else request.headers.get("traceparent", ""))
    return found[1] if found else None


class JsonLines(logging.Formatter):
    """A log of one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {"time": self.formatTime(record), "level": record.levelname.lower(), "logger": record.name}
        line["message"] = record.getMessage()
        line.update(of_request())
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)

"""What an HTTP answer that refuses a message means: an error of JSON-RPC, a busy server, a session that is over.

What must never stand here: sending, retrying.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from mcpkit.client.endpoint import Endpoint
from mcpkit.client.errors import ClientError, HttpRefused, ServerRefused
from mcpkit.client.http import HttpAnswer, read_beginning
from mcpkit.client.transports.incoming import read_messages
from mcpkit.client.transports.resumption import content_type
from mcpkit.jsonrpc.codec import Limits
from mcpkit.jsonrpc.messages import ErrorResponse

_BUSY: Final = frozenset({429, 503})
_OF_A_SESSION: Final = re.compile(
    r"session|not (?:yet )?initiali[sz]ed|uninitiali[sz]ed|no transport|SSE connection", re.IGNORECASE
)
_GONE: Final = frozenset({404, 410})
_MAY_BE_OVER: Final = frozenset({400, 401, 403, 404, 405, 409, 410, 412, 422, 440})
_SECONDS: Final = re.compile(r"[0-9]{1,8}(?:\.[0-9]{1,9})?")


async def refusal(answer: HttpAnswer, endpoint: Endpoint, limits: Limits) -> ClientError:
    """The error that a refused request is; reads and closes the answer."""
    status, kind = answer.status, content_type(answer)
    body = await read_beginning(answer)
    if status in _BUSY:
        return _busy(status, seconds_of(answer.headers.get("retry-after")), endpoint.told(body, kind))
    for message in read_messages(body, limits) if body.lstrip()[:1] == b"{" and b"jsonrpc" in body else []:
        if isinstance(message, ErrorResponse):
            return ServerRefused(message.error, status=status)
    said = endpoint.told(body, kind)
    return HttpRefused(status, f"the server refused the request (HTTP {status}){f': {said}' if said else ''}")


def _busy(status: int, seconds: float | None, said: str) -> HttpRefused:
    again = f", and wants to be asked again in {seconds:g} seconds" if seconds else ""
    told = f": {said}" if said else ""
    return HttpRefused(status, f"the server is busy (HTTP {status}){again}{told}", retry_after=seconds)


def surely_over(error: ClientError) -> bool:
    """No server refuses a request like this while the session lives (SHL-45), whatever the body says."""
    return isinstance(error, HttpRefused | ServerRefused) and error.status in _GONE


def maybe_over(error: ClientError) -> bool:
    """The session may be over: servers say so with one of these statuses, or in words with any."""
    if not isinstance(error, HttpRefused | ServerRefused):
        return False
    return error.status in _MAY_BE_OVER or speaks_of_session(error)


def speaks_of_session(error: ClientError) -> bool:
    """The refusal has to do with a session."""
    return _OF_A_SESSION.search(str(error)) is not None


def seconds_of(value: str | None) -> float | None:
    """The seconds that a ``Retry-After`` field asks to wait, in either of its forms; None where it says nothing."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return seconds if seconds > 0 else None

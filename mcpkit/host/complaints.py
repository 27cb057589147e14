"""What an endpoint says when it answers no completion: its errors in all their forms, with HTTP 200 or another status.

What must never stand here: retries, what the user is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcpkit.jsonrpc.codec import load
from mcpkit.jsonrpc.errors import ParseError

KINDS: Final[Mapping[str, int]] = {
    "rate_limit": 429,
    "too_many_requests": 429,
    "throttl": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "billing": 402,
    "try_again": 503,
    "overloaded": 503,
    "unavailable": 503,
    "server_error": 500,
    "internal": 500,
    "timeout": 504,
    "deadline_exceeded": 504,
    "authentication": 401,
    "unauthenticated": 401,
    "invalid_api_key": 401,
    "permission": 403,
    "forbidden": 403,
    "not_found": 404,
    "does_not_exist": 404,
    "context_length": 413,
    "invalid_request": 400,
    "invalid_argument": 400,
    "bad_request": 400,
    "badrequest": 400,
    "failed_precondition": 400,
}
"""HTTP statuses by a part of the words that endpoints have for kinds of errors."""
_MARKS: Final = ("error", "errors", "detail", "message", "msg", "error_msg")
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error as an endpoint tells it."""

    said: str = ""
    status: int | None = None
    """The HTTP status that it amounts to; None where nothing tells."""
    retry_after: float | None = None
    """Seconds after which to ask again, where it says so."""


def complaint_of(value: Any) -> Complaint | None:
    """The error that an answer under HTTP 200 is, in any of the forms there are for it; None for an answer."""
    if isinstance(value, list):  # Gemini wraps its errors, and nothing else, in a list
        return next((complaint_of(one) for one in value if isinstance(one, dict)), None)
    if isinstance(value, str):
        return Complaint(value)
    if not isinstance(value, dict):
        return None
    if _is_error(value):
        return _read(value)
    choices = value.get("choices")
    if isinstance(choices, list):
        return next((_read(one) for one in choices if isinstance(one, dict) and one.get("error")), None)
    bare = choices is None and any(value.get(name) for name in _MARKS)
    return _read(value) if bare else None


def complaint_in(body: bytes) -> Complaint:
    """What a body says that goes with an HTTP status of failure."""
    try:
        value = load(body)
    except ParseError:
        return Complaint()
    if isinstance(value, list):
        value = value[0] if value else {}
    return _read(value) if isinstance(value, dict) else Complaint(value if isinstance(value, str) else "")


def _is_error(value: Mapping[str, Any]) -> bool:
    return bool(value.get("error")) or value.get("object") == "error" or value.get("type") == "error"


def _read(value: Mapping[str, Any]) -> Complaint:
    inner = _innermost(value)
    layers = [value, inner] if isinstance(inner, dict) else [value]
    words = [layer.get(name) for layer in reversed(layers) for name in ("code", "status", "type", "status_code")]
    waits = [wait for layer in layers for wait in (_wait(layer),) if wait is not None]
    said = _said(value)
    return Complaint(said, _status([*words, said]), waits[0] if waits else None)


def _innermost(value: Mapping[str, Any]) -> Any:
    inner: Any = value
    for _ in range(_DEEPEST):
        further = inner.get("error") if isinstance(inner, dict) else None
        if isinstance(further, list) and further:
            further = further[0]
        if not further:
            break
        inner = further
    return inner


def _said(value: Any) -> str:
    for _ in range(_DEEPEST):
        if isinstance(value, list) and value:
            value = value[0]
        if not isinstance(value, dict):
            break
        value = next((value[name] for name in _MARKS if value.get(name)), "")
    return value if isinstance(value, str) else ""


def _status(words: list[Any]) -> int | None:
    """The first of the words that is an HTTP status, else what the first known kind of error amounts to."""
    for word in words:
        number = int(word[:9]) if isinstance(word, str) and word.isascii() and word.isdigit() else word
        if type(number) is int and 400 <= number < 600:
            return number
    for word in words:
        if isinstance(word, str):
            plain = word.lower().replace("-", "_").replace(" ", "_")
            for kind, status in KINDS.items():
                if kind in plain:
                    return status
    return None


def _wait(layer: Mapping[str, Any]) -> float | None:
    """Seconds: a member ``retry_after``, or ``{"retryDelay": "34s"}`` among the details, as Google has it."""
    details = layer.get("details")
    delays = [one.get("retryDelay") for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    for wait in (layer.get("retry_after"), *delays):
        text = wait[:-1] if isinstance(wait, str) and wait.endswith("s") else wait
        try:
            seconds = float(text) if isinstance(text, int | float | str) else -1.0
        except ValueError:
            continue
        if 0 <= seconds < 1e9:
            return seconds
    return None

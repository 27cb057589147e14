"""The envelope: what a request of the newest era says of itself in ``_meta`` (protocol-core META-10…META-15).

What must never stand here: HTTP headers (headers.py), which revision then governs (classify.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.exchange import Client
from mcpkit.protocol.types import (
    LOG_LEVELS,
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_PROTOCOL_VERSION,
    META_RELATED_TASK,
    META_SERVER_INFO,
    META_SUBSCRIPTION_ID,
)

_NOBODY: Final[dict[str, Any]] = {}


@dataclass(slots=True)  # not frozen: made for every request, and a frozen one costs twice as much
class Envelope:
    """What one request declares: a revision (perhaps unknown), who asks, which log messages it wants."""

    version: str
    client: Client
    log_level: str | None = None


def has_envelope(params: Mapping[str, Any]) -> bool:
    """Whether a message claims to be of the envelope era; a related task is no evidence (DUAL-02, META-25)."""
    meta = params.get("_meta")
    return isinstance(meta, dict) and (
        META_PROTOCOL_VERSION in meta or META_CLIENT_CAPABILITIES in meta or META_CLIENT_INFO in meta
    )


def read_envelope(params: Mapping[str, Any]) -> Envelope:
    """The envelope of a request.

    Raises: InvalidParams when a required key is missing or one has the wrong shape (META-11, META-15, LOG-04).
    """
    meta = params.get("_meta")
    if not isinstance(meta, dict):
        raise InvalidParams(
            f"params._meta is required; send {META_PROTOCOL_VERSION} and {META_CLIENT_CAPABILITIES} in it"
        )
    version = _required(meta, META_PROTOCOL_VERSION, str, "a string")
    capabilities = _required(meta, META_CLIENT_CAPABILITIES, dict, "an object")
    info = meta.get(META_CLIENT_INFO, _NOBODY)
    if info is not _NOBODY:
        _check_implementation(info)
    level = meta.get(META_LOG_LEVEL)
    if level is not None and (not isinstance(level, str) or level not in LOG_LEVELS):
        raise InvalidParams(f"{META_LOG_LEVEL} must be one of {', '.join(LOG_LEVELS)}")
    return Envelope(version, Client(info, capabilities), level)


def _required(meta: dict[str, Any], key: str, kind: type, called: str) -> Any:
    value = meta.get(key)
    if isinstance(value, kind):
        return value
    if key in meta:
        raise InvalidParams(f"_meta key {key} must be {called}")
    raise InvalidParams(f"params._meta lacks {key}; send it with every request")


def _check_implementation(info: Any) -> None:
    fits = isinstance(info, dict) and isinstance(info.get("name"), str) and isinstance(info.get("version"), str)
    if not fits:
        raise InvalidParams(f"_meta key {META_CLIENT_INFO} must be an object with the strings name and version")


__all__ = [
    "LOG_LEVELS",
    "META_CLIENT_CAPABILITIES",
    "META_CLIENT_INFO",
    "META_LOG_LEVEL",
    "META_PROTOCOL_VERSION",
    "META_RELATED_TASK",
    "META_SERVER_INFO",
    "META_SUBSCRIPTION_ID",
    "Envelope",
    "has_envelope",
    "read_envelope",
]

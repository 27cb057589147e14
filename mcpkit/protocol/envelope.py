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
    if "_meta" not in params:
        return False
    meta = params["_meta"]
    return type(meta) is dict and (
        META_PROTOCOL_VERSION in meta or META_CLIENT_CAPABILITIES in meta or META_CLIENT_INFO in meta
    )


def read_envelope(params: Mapping[str, Any]) -> Envelope:
    """The envelope of a request, whose params are decoded JSON.

    Raises: InvalidParams when a required key is missing or one has the wrong shape (META-11, META-15, LOG-04).
    """
    try:
        meta = params["_meta"]
        version, capabilities = meta[META_PROTOCOL_VERSION], meta[META_CLIENT_CAPABILITIES]
    except (KeyError, TypeError):
        raise _incomplete(params.get("_meta")) from None
    if type(version) is not str:
        raise InvalidParams(f"_meta key {META_PROTOCOL_VERSION} must be a string")
    if type(capabilities) is not dict:
        raise InvalidParams(f"_meta key {META_CLIENT_CAPABILITIES} must be an object")
    info = meta[META_CLIENT_INFO] if META_CLIENT_INFO in meta else _NOBODY  # noqa: SIM401 - no call
    if info is not _NOBODY and not (
        (type(info) is dict and "name" in info and "version" in info)
        and (type(info["name"]) is str and type(info["version"]) is str)
    ):
        raise InvalidParams(f"_meta key {META_CLIENT_INFO} must be an object with the strings name and version")
    level = meta[META_LOG_LEVEL] if META_LOG_LEVEL in meta else None  # noqa: SIM401 - no call
    if level is not None and (type(level) is not str or level not in LOG_LEVELS):
        raise InvalidParams(f"{META_LOG_LEVEL} must be one of {', '.join(LOG_LEVELS)}")
    return Envelope(version, Client(info, capabilities), level)


def _incomplete(meta: Any) -> InvalidParams:
    if type(meta) is not dict:
        return InvalidParams(
            f"params._meta is required; send {META_PROTOCOL_VERSION} and {META_CLIENT_CAPABILITIES} in it"
        )
    lacking = META_CLIENT_CAPABILITIES if META_PROTOCOL_VERSION in meta else META_PROTOCOL_VERSION
    return InvalidParams(f"params._meta lacks {lacking}; send it with every request")


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

"""The life of a handshake session: what may be called in which phase, and which revision both sides settle on.

What must never stand here: storing a session, a transport, what a method does.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from mcpkit.jsonrpc.codec import encode, load
from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest, MethodNotFound
from mcpkit.protocol.exchange import Client
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST_HANDSHAKE, REVISIONS
from mcpkit.protocol.revisions.revision import Revision

_UNKNOWN_TO_HANDSHAKES: Final = frozenset().union(*(revision.requests for revision in REVISIONS.values())) - frozenset(
    NEWEST_HANDSHAKE.requests
)


MOST_CLIENT_BYTES: Final = 8192
"""What a session remembers of its client, as JSON."""
SHARED_BYTES: Final = 1024
"""How long that may be to be remembered for the next session too."""


class Phase(Enum):
    """Where a session stands."""

    NEW = auto()
    """Nothing was agreed on yet."""
    INITIALIZING = auto()
    """``initialize`` was answered, ``notifications/initialized`` did not come yet."""
    READY = auto()
    CLOSED = auto()


def admit(phase: Phase, method: str) -> None:
    """Let a request in, or say why not (INIT-13).

    A client that was told the outcome of ``initialize`` is served, whether or not it has said that it heard it.

    Raises: InvalidParams before the handshake; MethodNotFound there for a method that no handshake leads to;
    InvalidRequest for a second ``initialize`` and after the end.
    """
    if phase is Phase.NEW:
        _admit_new(method)
    elif phase is Phase.CLOSED:
        raise InvalidRequest("this session has ended; open a new one with initialize")
    elif method == "initialize":
        raise InvalidRequest("this session is initialized already; open another one for another handshake")


def _admit_new(method: str) -> None:
    if method in {"initialize", "ping"}:
        return
    if method in _UNKNOWN_TO_HANDSHAKES:  # a probe for the newest era: the answer that makes it fall back (DCLI-02)
        raise MethodNotFound(method)
    raise InvalidParams("not initialized; send initialize first, or an envelope in params._meta")


def negotiate(offered: str) -> Revision:
    """The revision to answer ``initialize`` with: the offered one, else the newest that a handshake leads to (INIT-07,
    INIT-08)."""
    return REVISIONS[offered] if offered in HANDSHAKE_NAMES else NEWEST_HANDSHAKE


def read_initialize(params: Mapping[str, Any]) -> tuple[str, Client]:
    """The offered version and the client that ``initialize`` tells of (INIT-01).

    Capabilities and name may be missing: old clients leave them out, and neither is needed to serve them.

    Its icons are left out: a session remembers the client, and must not grow by its wish. Raises: InvalidParams.
    """
    offered = params.get("protocolVersion")
    if not isinstance(offered, str):
        supported = [name for name in REVISIONS if name in HANDSHAKE_NAMES]
        raise InvalidParams(
            f"initialize needs the string protocolVersion, for example {NEWEST_HANDSHAKE.name}",
            data={"supported": supported},
        )
    capabilities, info = params.get("capabilities", {}), params.get("clientInfo", {})
    if not isinstance(capabilities, dict) or not isinstance(info, dict):
        raise InvalidParams("capabilities and clientInfo of initialize must be objects")
    info = {name: value for name, value in info.items() if name != "icons"}  # shown by nobody here, and often long
    told = encode([info, capabilities])
    if len(told) > MOST_CLIENT_BYTES:
        raise InvalidParams(f"clientInfo and capabilities of initialize may be {MOST_CLIENT_BYTES} bytes long together")
    return offered, _client(told) if len(told) <= SHARED_BYTES else Client(info, capabilities)


@lru_cache(maxsize=256)
def _client(told: bytes) -> Client:
    """One object for all sessions of the same software: there may be thousands. No handler may change it for others."""
    info, capabilities = load(told)
    return Client(MappingProxyType(info), MappingProxyType(capabilities))

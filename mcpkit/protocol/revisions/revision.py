"""What a protocol revision is: a value. Every difference between revisions is a field or a Change of this object.

The code speaks only the newest revision; an older one is its successor with a list of changes told backwards,
folded once at import (:func:`derive`). What must never stand here: a revision's date, an ``if`` about one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, TypeAlias

Adapt: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns params or a result of one shape into the next; may return its argument, never mutates it."""


class Era(Enum):
    """How a conversation is opened: by a handshake, by an envelope on every request, or not at all."""

    HANDSHAKE = auto()
    ENVELOPE = auto()
    NONE = auto()


class Asks(Enum):
    """How a handler's question reaches the client."""

    SERVER_REQUEST = auto()
    INPUT_REQUIRED = auto()
    NEVER = auto()


class LogGate(Enum):
    """What decides which log messages a caller gets."""

    SESSION_LEVEL = auto()
    REQUEST_META = auto()
    NEVER = auto()


class Fault(Enum):
    """How bad tool arguments are answered."""

    RPC_ERROR = auto()
    TOOL_ERROR = auto()


class ErrorKind(Enum):
    """Errors whose number depends on the revision."""

    RESOURCE_NOT_FOUND = auto()
    HEADER_MISMATCH = auto()
    MISSING_CLIENT_CAPABILITY = auto()
    UNSUPPORTED_PROTOCOL_VERSION = auto()
    URL_ELICITATION_REQUIRED = auto()


@dataclass(frozen=True, slots=True)
class HttpRules:
    """What HTTP looks like under a revision."""

    sessions: bool = False
    """Session ids are minted and demanded; GET opens a stream, DELETE ends the session."""
    routing_headers: bool = False
    """``MCP-Protocol-Version``, ``Mcp-Method``, ``Mcp-Name`` and ``Mcp-Param-*`` must agree with the body."""
    resumable: bool = False
    """Events carry ids, ``Last-Event-ID`` resumes."""
    priming: bool = False
    """A stream opens with an empty event that carries an id, and may be closed for polling with ``retry``."""
    disconnect_cancels: bool = False
    """A client that goes away has cancelled its request."""
    status: Mapping[int, int] = field(default_factory=dict)
    """JSON-RPC error code → HTTP status; 200 where absent."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One dated revision of the protocol; plain JSON-RPC is one more, with an empty name."""

    name: str
    era: Era
    requests: frozenset[str]
    """Methods a client may call; absence is the gate → method not found."""
    notifications: frozenset[str]
    """Notifications a client may send; others are ignored."""
    http: HttpRules
    asks: Asks
    log_gate: LogGate
    invalid_arguments: Fault
    stamps_results: bool = False
    """Every result says what it is (``resultType``) and who made it (``_meta`` server info)."""
    batch: bool = False
    open_methods: bool = False
    """Methods registered by the application outside the spec may be called (all revisions may carry them)."""
    codes: Mapping[ErrorKind, int] = field(default_factory=dict)
    lower: Mapping[str, Adapt] = field(default_factory=dict)
    """Method → canonical result / notification params / server request params → this revision's shape."""
    lift: Mapping[str, Adapt] = field(default_factory=dict)
    """Method → this revision's result → canonical; the client's direction."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a spec changelog, told backwards: what the older revision lacked."""

    what: str
    lower: Mapping[str, Adapt] = field(default_factory=dict)
    lift: Mapping[str, Adapt] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    """Fields of :class:`Revision` that had another value."""


def derive(newer: Revision, name: str, *, changes: Sequence[Change]) -> Revision:
    """The older revision: ``newer`` with every change undone, in the order of the newer one's changelog."""
    fields: dict[str, Any] = {}
    lower, lift = dict(newer.lower), dict(newer.lift)
    for change in changes:
        fields.update(change.set)
        for method, adapt in change.lower.items():
            lower[method] = _then(lower.get(method), adapt)
        for method, adapt in change.lift.items():
            lift[method] = _then(adapt, lift.get(method))
    return replace(newer, name=name, lower=lower, lift=lift, **fields)


def _then(first: Adapt | None, second: Adapt | None) -> Adapt:
    if first is None or second is None:
        only = first or second
        assert only is not None
        return only
    return lambda value: second(first(value))

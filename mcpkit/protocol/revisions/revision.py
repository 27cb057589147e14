"""What a protocol revision is: a value. Every difference between revisions is a field or a Change of this object.

The code speaks only the newest revision; an older one is its successor with a list of changes told backwards,
folded once at import (:func:`derive`). What must never stand here: a revision's date, an ``if`` about one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, TypeAlias

from mcpkit.jsonrpc.errors import InvalidParams

Adapt: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns params or a result of one shape into the next; may return its argument, never mutates it."""


class Inexpressible(InvalidParams):
    """A question that the client's revision has no words for; answered as a client that refuses it would (ELIC-06)."""


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
    null_ids: bool = False
    """An error for a message whose id could not be read says ``null``; elsewhere it has no id at all (RPC-11)."""
    batch: bool = False
    open_methods: bool = False
    """Methods registered by the application outside the spec may be called (all revisions may carry them)."""
    codes: Mapping[ErrorKind, int] = field(default_factory=dict)
    lower: Mapping[str, Adapt] = field(default_factory=dict)
    """Method → canonical result / notification params / server request params → this revision's shape.

    Three keys are no methods but parts that several messages share: ``capabilities`` (a server's),
    ``clientCapabilities`` and ``implementation``.
    """
    lower_params: Mapping[str, Adapt] = field(default_factory=dict)
    """Method → canonical params of a client's request → this revision's shape; the client's direction out."""
    lift: Mapping[str, Adapt] = field(default_factory=dict)
    """Method → this revision's result → canonical; the client's direction in."""

    def lowered(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Params of a notification or a server's request in this revision's shape."""
        return self.lower[method](params) if method in self.lower else params


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a spec changelog, told backwards: what the older revision lacked, or still had."""

    what: str
    lower: Mapping[str, Adapt | None] = field(default_factory=dict)
    """None where the newer revision took something away: its lowering is forgotten, not continued."""
    lower_params: Mapping[str, Adapt | None] = field(default_factory=dict)
    lift: Mapping[str, Adapt] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    """Fields of :class:`Revision` that had another value."""


class Chain:
    """Several adapts in a row, flat: an old revision costs a loop, not a tower of calls."""

    __slots__ = ("steps",)

    def __init__(self, *steps: Adapt) -> None:
        self.steps: tuple[Adapt, ...] = tuple(
            part for step in steps for part in (step.steps if isinstance(step, Chain) else (step,))
        )

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        """Each step in turn."""
        for step in self.steps:
            value = step(value)
        return value


def derive(newer: Revision, name: str, *, changes: Sequence[Change]) -> Revision:
    """The older revision: ``newer`` with every change undone, in the order of the newer one's changelog."""
    fields: dict[str, Any] = {}
    lower, params, lift = dict(newer.lower), dict(newer.lower_params), dict(newer.lift)
    for change in changes:
        fields.update(change.set)
        _continue(lower, change.lower)
        _continue(params, change.lower_params)
        for method, adapt in change.lift.items():
            lift[method] = Chain(adapt, lift[method]) if method in lift else adapt
    return replace(newer, name=name, lower=lower, lower_params=params, lift=lift, **fields)


def _continue(table: dict[str, Adapt], further: Mapping[str, Adapt | None]) -> None:
    for method, adapt in further.items():
        if adapt is None:
            table.pop(method, None)
        else:
            table[method] = Chain(table[method], adapt) if method in table else adapt

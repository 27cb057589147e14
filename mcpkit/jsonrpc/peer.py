"""One end of a duplex conversation: which of our questions is answered, which of their calls is in flight.

Pure bookkeeping, no I/O and no event loop: what waits and what works are objects that the caller gives. What must
never stand here: bytes, a method name of MCP, time.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from mcpkit.jsonrpc.errors import InvalidRequest, McpKitError
from mcpkit.jsonrpc.messages import ErrorResponse, Id, JsonObject, Request, Response

_NOBODY: Final[dict[Any, Any]] = {}
"""Nothing asked, nothing in flight: shared by all who are at rest, and never written to."""


class Pending(Protocol):
    """Who waits for the answer to one of our questions."""

    def resolve(self, result: JsonObject) -> None:
        """The answer has come."""

    def reject(self, error: McpKitError) -> None:
        """The other side refused, or no answer will come."""


class Cancellable(Protocol):
    """What works on one of the other side's calls."""

    def cancel(self, reason: str | None) -> None:
        """Stop; the caller no longer wants an answer."""


class Peer:
    """The questions we asked and the calls we serve.

    The two directions have id spaces of their own: both sides may use id 1 at once (STDIO-21). Ids are kept as they
    are, strings and integers, which never equal each other; whatever else comes from the wire is no id (RPC-06).
    """

    __slots__ = ("_asked", "_last", "_prefix", "_working")

    def __init__(self, prefix: str = "") -> None:
        """``prefix`` begins the ids of all questions: several ends may then ask in one conversation."""
        self._prefix = prefix
        self._asked: dict[Id, Pending] = _NOBODY
        self._working: dict[Id, Cancellable] = _NOBODY
        self._last = 0

    # our questions

    def ask(self, method: str, params: JsonObject, pending: Pending, *, prefix: str = "") -> Request:
        """The request to send; ``pending`` hears of its answer. Its id was never used before (RPC-04)."""
        self._last += 1
        prefix = prefix or self._prefix
        id: Id = f"{prefix}{self._last}" if prefix else self._last
        if self._asked is _NOBODY:
            self._asked = {}
        self._asked[id] = pending
        return Request(id, method, params)

    def forget(self, id: Id) -> None:
        """Stop waiting for an answer; one that still comes is ignored (CANC-03)."""
        self._asked.pop(id, None)

    def answered(self, message: Response | ErrorResponse) -> bool:
        """Hand an answer to whoever waits for it; False when nobody does."""
        if isinstance(message, ErrorResponse):
            return self.fail(message.id, message.error)
        pending = self._asked.pop(message.id, None)
        if pending is not None:
            pending.resolve(message.result)
        return pending is not None

    def fail(self, id: Id | None, error: McpKitError) -> bool:
        """Tell whoever waits for the answer ``id`` that none will come; False when nobody does."""
        pending = None if id is None else self._asked.pop(id, None)
        if pending is not None:
            pending.reject(error)
        return pending is not None

    # their calls

    def begin(self, id: Id, work: Cancellable) -> None:
        """Remember that ``work`` serves the call ``id``.

        Raises: InvalidRequest when a call with that id is in flight; that call is not touched (RPC-05).
        """
        if self._working is _NOBODY:
            self._working = {id: work}
        elif id in self._working:
            raise InvalidRequest("Invalid request: a request with this id is still in flight", id=id)
        else:
            self._working[id] = work

    def end(self, id: Id) -> None:
        """The call is over; its id may be used again."""
        self._working.pop(id, None)
        if not self._working:
            self._working = _NOBODY

    def cancel(self, id: Any, reason: str | None) -> bool:
        """Cancel the call ``id``, a value from the wire; False when there is none (CANC-08: then nothing happens)."""
        if type(id) is not int and type(id) is not str:  # True and 1.0 would find 1
            return False
        work = self._working.get(id)
        if work is not None:
            work.cancel(reason)
        return work is not None

    # both

    @property
    def asked(self) -> int:
        """How many questions we have asked so far; without a prefix, the last one's id."""
        return self._last

    @property
    def pending(self) -> int:
        """How many of our questions wait for an answer."""
        return len(self._asked)

    @property
    def in_flight(self) -> int:
        """How many of their calls are being served."""
        return len(self._working)

    def fail_all(self, error: McpKitError) -> None:
        """No question will be answered any more; calls go on."""
        asked, self._asked = self._asked, _NOBODY
        for pending in asked.values():
            pending.reject(error)

    def close(self, error: McpKitError) -> None:
        """The conversation is over: every question fails with ``error``, every call is cancelled."""
        self.fail_all(error)
        for work in list(self._working.values()):
            work.cancel(None)

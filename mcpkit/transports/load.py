"""What all connections of a process hold together: how many they are, bytes that are not answered, or not read yet.

Each of them keeps its own bounds; these are the bounds on their sum, and on that of one caller. Where a proxy that is
trusted stands before its clients, they can't be told apart before a request is read: "" stands for them all. What must
never stand here: sockets, HTTP.
"""

from __future__ import annotations

from typing import Final, Protocol

from mcpkit.limits import WHOLE, Bound, BoundReached, Shares

LIGHT: Final = 4096
"""Bytes of unanswered requests on one connection that are not worth counting."""
LIGHT_BODY: Final = 1024
"""Bytes of a body whose values are not worth weighing."""
HEAVY: Final = 256 * 1024
"""What a request weighs that is heavy."""
_VALUE: Final = 64
_OBJECT: Final = 240
"""What a value, and an object with one key, take in memory besides their text."""


class Line(Protocol):
    """A connection whose client does not read."""

    def drop(self) -> None:
        """Forget what is unsent, and end."""


class Load:
    """The sums, and who gives way where they are too high."""

    __slots__ = ("_held", "_unread", "_unread_bytes", "connections", "fruitless_until", "fruitless_until_of_caller")

    def __init__(self, most: int, share: int = WHOLE, *, connections: int = 1, least: int = 0) -> None:
        """At most ``most`` bytes of requests are held, and as many of answers, over that many connections.

        One caller has ``share`` per cent of each, but always ``least`` bytes.
        """
        setting = "MCP_MAX_PENDING_BYTES"
        self._held = Shares(Bound("bytes of requests that are not answered", setting, most, share, least=least))
        self._unread: dict[Line, tuple[int, str]] = {}
        self._unread_bytes = Shares(Bound("bytes of answers that are not read", setting, most, share, least=least))
        self.connections = Shares(Bound("connections", "MCP_MAX_CONNECTIONS", connections, share))
        self.fruitless_until = self.fruitless_until_of_caller = 0.0
        """Until then no connection at rest is looked for, of anybody or of one caller, by the loop's clock."""

    def hold(self, caller: str, before: int, now: int) -> None:
        """Count what a connection's unanswered requests take, ``now`` instead of ``before``.

        Raises: BoundReached; then ``before`` stays counted.
        """
        self._held.change(caller, before, now)

    @property
    def held(self) -> int:
        """What the unanswered requests of all connections take, as far as they are counted."""
        return self._held.taken

    def limit(self, most: int) -> None:
        """Hold at most ``most`` bytes of requests from now on, whoever sends them."""
        self._held.bound = Bound(self._held.bound.what, self._held.bound.setting, most)

    def unread(self, line: Line, size: int, caller: str = "") -> None:
        """So much is unsent on this line of the caller now; where that is too much, the longest queues are dropped.

        The caller's own, where only its share is used up.
        """
        self._forget(line)
        if not size:
            return
        self._unread[line] = size, caller
        while line in self._unread:
            try:
                self._unread_bytes.take(caller, size)
            except BoundReached as reached:
                own = [other for other, (_, of) in self._unread.items() if of == caller]
                longest = max(own if reached.of_caller else self._unread, key=lambda other: self._unread[other][0])
                if longest is line:
                    del self._unread[line]  # it is not counted yet
                else:
                    self._forget(longest)
                longest.drop()
            else:
                return

    def _forget(self, line: Line) -> None:
        size, caller = self._unread.pop(line, (0, ""))
        if size:
            self._unread_bytes.give(caller, size)


def weight_of(body: bytes) -> int:
    """Bytes of memory that a request takes, by what its JSON becomes."""
    values = len(body) - len(body.translate(None, b",:[{"))  # one pass; ``count`` takes one for each
    objects = body.count(b"{") if _OBJECT * values > len(body) else values
    return len(body) + _VALUE * (values - objects) + _OBJECT * objects


class Scales:
    """How much memory the requests take that are being served, by what their JSON becomes.

    Heavy ones are weighed apart, so that a few of them never keep the many usual ones out.
    """

    __slots__ = ("_heavy", "_light")

    def __init__(self, most: int, share: int = WHOLE) -> None:
        """At most ``most`` bytes of heavy requests, and half as many of others; ``share`` per cent for one caller."""
        what, setting = "bytes of large requests that are being served", "MCP_MAX_PENDING_BYTES"
        self._heavy = Shares(Bound(what, setting, most, share))
        self._light = Shares(Bound("bytes of requests that are being served", setting, most // 2, share, least=HEAVY))

    def take(self, body: bytes, caller: str = "") -> int:
        """The weight of a request that may be served now, to be given back.

        One that is too heavy by itself, or for its caller, is served when no other heavy one is, or none of the
        caller's. Raises: BoundReached.
        """
        weight = weight_of(body)
        if weight <= HEAVY:
            self._light.take(caller, weight)
            return weight
        heavy = self._heavy
        if not heavy.taken or (caller and not heavy.held(caller) and heavy.taken + weight <= heavy.bound.most):
            heavy.force(caller, weight)
        else:
            heavy.take(caller, weight)
        return weight

    def give(self, weight: int, caller: str = "") -> None:
        """That request has been answered."""
        if weight:
            (self._heavy if weight > HEAVY else self._light).give(caller, weight)

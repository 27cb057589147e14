"""What all connections of a process hold together: how many they are, bytes that are not answered, or not read yet.

Each of them keeps its own bounds; this is the bound on their sum. What must never stand here: sockets, HTTP.
"""

from __future__ import annotations

from typing import Final, Protocol

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

    __slots__ = ("_held", "_most", "_unread", "_unread_bytes", "fruitless_until")

    def __init__(self, most: int) -> None:
        """At most ``most`` bytes of requests are held, and as many of answers."""
        self._most = most
        self._held = 0
        self._unread: dict[Line, int] = {}
        self._unread_bytes = 0
        self.fruitless_until = 0.0
        """Until then no connection at rest is looked for, by the loop's clock."""

    def hold(self, before: int, now: int) -> bool:
        """A connection's unanswered requests take ``now`` bytes, and took ``before``; whether there is room for all."""
        self._held += now - before
        return self._held <= self._most

    def unread(self, line: Line, size: int) -> None:
        """So much is unsent on this line now; where that is too much in all, the longest queues are dropped."""
        self._unread_bytes += size - self._unread.pop(line, 0)
        if size:
            self._unread[line] = size
        while self._unread_bytes > self._most:
            longest = max(self._unread, key=self._unread.__getitem__)
            self._unread_bytes -= self._unread.pop(longest)
            longest.drop()


class Scales:
    """How much memory the requests take that are being served, by what their JSON becomes.

    Heavy ones are weighed apart, so that a few of them never keep the many usual ones out.
    """

    __slots__ = ("_heavy", "_light", "_most")

    def __init__(self, most: int) -> None:
        """At most ``most`` bytes of heavy requests, and half as many of others."""
        self._most = most
        self._heavy = self._light = 0

    def take(self, body: bytes) -> int:
        """The weight of a request that may be served now, to be given back; 0 where it has to wait.

        One that is too heavy by itself is served when no other heavy one is.
        """
        values = len(body) - len(body.translate(None, b",:[{"))  # one pass; ``count`` takes one for each
        objects = body.count(b"{") if _OBJECT * values > len(body) else values
        weight = len(body) + _VALUE * (values - objects) + _OBJECT * objects
        if weight > HEAVY:
            if self._heavy and self._heavy + weight > self._most:
                return 0
            self._heavy += weight
        elif self._light + weight > self._most // 2:
            return 0
        else:
            self._light += weight
        return weight

    def give(self, weight: int) -> None:
        """That request has been answered."""
        if weight > HEAVY:
            self._heavy -= weight
        else:
            self._light -= weight

"""How much and how long: every bound and every deadline of the client, in one place.

A hostile or broken server can make a client wait or hold memory only up to these. What must never stand here: what
happens when a limit is met.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from mcpkit.jsonrpc.codec import Limits as JsonLimits


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that is accepted from a server, and the most that is done for it."""

    message_bytes: int = 16 * 1024 * 1024
    """One message: a JSON body, an event, a line."""
    depth: int = 128
    """Levels of nesting in a message."""
    pages: int = 1_000
    """Pages of one list (PAGE-05)."""
    rounds: int = 10
    """Rounds of ``input_required`` of one call (MRTR-14)."""
    questions: int = 32
    """Questions of the server that are worked on at once."""
    notices: int = 1_000
    """Notifications that wait for a handler; when it falls behind, further ones are dropped."""
    attempts: int = 5
    """Attempts in a row to reopen what broke: a stream, a server process."""

    @property
    def json(self) -> JsonLimits:
        """The same for the codec."""
        return JsonLimits(depth=self.depth)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds until something is given up; None waits for ever."""

    call: float | None = 60.0
    """Silence of one call: each progress notification starts it anew (TIME-02)."""
    whole_call: float | None = 600.0
    """One call in all, however much progress it reports."""
    task: float | None = 3600.0
    """The end of a task that a call turned into."""
    connect: float = 10.0
    """Opening a connection, an event stream, a process."""
    probe: float = 5.0
    """The question which era the server speaks, where silence is an answer (STDIO-45)."""
    handshake: float = 30.0
    """The answer to ``initialize`` or ``server/discover``."""
    listen: float = 2.0
    """The head of the server's event stream; a server that is slower sends unasked messages later."""
    goodbye: float = 2.0
    """Each step of an orderly end: the process exits, the session is deleted."""
    stream_end: float = 1.0
    """The rest of a stream whose answer is there, so that its connection can be used again."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between attempts to reopen what broke: doubling from ``first`` to ``most``."""

    first: float = 1.0
    most: float = 30.0

    def before(self, attempt: int) -> float:
        """The pause before the first attempt (0) and further ones, spread so that many clients don't come at once."""
        return min(self.most, self.first * 2.0 ** max(0, min(attempt, 16))) * random.uniform(0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Patience:
    """All of them."""

    bounds: Bounds = field(default_factory=Bounds)
    deadlines: Deadlines = field(default_factory=Deadlines)
    pauses: Pauses = field(default_factory=Pauses)

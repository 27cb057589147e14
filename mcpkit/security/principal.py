"""Who is calling, once the gate has let them in.

What must never stand here: tokens, sessions, how the principal was established.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. ``id`` is what sessions, tasks and sealed states are bound to.

    Two principals are the same caller exactly when their ``id`` is equal; build it from issuer and subject
    (and the client where one user's clients must not share state), never from a name.
    """

    id: str
    scopes: frozenset[str] = frozenset()
    client_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    expires: float | None = field(default=None, compare=False)
    """When the credentials end, in seconds since the epoch: a stream opened with them ends then too."""

"""Who is calling, once the gate has let them in.

What must never stand here: tokens, sessions, how the principal was established.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. ``id`` is what sessions, tasks and sealed states are bound to.

    Two principals are the same caller exactly when their ``id`` is equal; build it by :meth:`identify` from issuer and
    subject (and the client where one user's clients must not share state), never from a name.
    Raises: ValueError for an id that is empty or no Unicode text, and for scopes that are one text or no texts.
    """

    id: str
    scopes: frozenset[str] = frozenset()
    client_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    expires: float | None = field(default=None, compare=False)
    """When the credentials end, in seconds since the epoch: a stream opened with them ends then too."""

    def __post_init__(self) -> None:
        id: Any = self.id
        if not isinstance(id, str) or not id or not (id.isascii() or _is_text(id)):
            raise ValueError(f"a principal's id must be a text that is not empty, not {self.id!r:.60}: nobody is None")
        scopes: Any = self.scopes
        if not isinstance(scopes, Set | list | tuple) or not set(map(type, scopes)) <= {str}:
            raise ValueError(f'scopes must be a set of texts, as frozenset({{"read"}}), not {self.scopes!r:.60}')

    @staticmethod
    def identify(issuer: str, subject: str, client: str | None = None) -> str:
        """Encode who calls as an :attr:`id`: different for every two callers that differ in anything.

        The id is a JSON array in ASCII: no character of a part can end it, nothing is normalized or folded, and no
        client is not the same as a client without a name. Raises: ValueError for a part that is no Unicode text.
        """
        parts = [issuer, subject, client]
        for part in parts:
            if part is not None and not _is_text(part):
                raise ValueError("issuer, subject and client must be Unicode text")
        return json.dumps(parts, ensure_ascii=True, separators=(",", ":"))


def _is_text(part: Any) -> bool:
    """Whether it is a string that UTF-8 can say; half a surrogate pair and its other half would pass for the whole."""
    return isinstance(part, str) and not any("\ud800" <= char <= "\udfff" for char in part)

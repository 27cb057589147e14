"""The revisions that this library serves. A sixth is one new file and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mcpkit.protocol.revisions.plain import PLAIN
from mcpkit.protocol.revisions.revision import Era, Revision
from mcpkit.protocol.revisions.v2024_11_05 import V2024_11_05
from mcpkit.protocol.revisions.v2025_03_26 import V2025_03_26
from mcpkit.protocol.revisions.v2025_06_18 import V2025_06_18
from mcpkit.protocol.revisions.v2025_11_25 import V2025_11_25
from mcpkit.protocol.revisions.v2026_07_28 import V2026_07_28

_NEWEST_FIRST: Final = (V2026_07_28, V2025_11_25, V2025_06_18, V2025_03_26, V2024_11_05)

REVISIONS: Final[Mapping[str, Revision]] = MappingProxyType({revision.name: revision for revision in _NEWEST_FIRST})
"""Every dated revision by its name, newest first."""
SUPPORTED: Final[tuple[str, ...]] = tuple(REVISIONS)
"""The names of all revisions, newest first: what discovery and a refused version list (DISC-04)."""
HANDSHAKES: Final[tuple[Revision, ...]] = tuple(r for r in _NEWEST_FIRST if r.era is Era.HANDSHAKE)
HANDSHAKE_NAMES: Final[frozenset[str]] = frozenset(revision.name for revision in HANDSHAKES)
"""The revisions that ``initialize`` can agree on."""
ENVELOPE_NAMES: Final[frozenset[str]] = frozenset(r.name for r in _NEWEST_FIRST if r.era is Era.ENVELOPE)
"""The revisions that a request names in its own ``_meta``."""
NEWEST: Final[Revision] = _NEWEST_FIRST[0]
NEWEST_HANDSHAKE: Final[Revision] = HANDSHAKES[0]
"""The counter-offer to an ``initialize`` that asks for anything else (INIT-08)."""
UNSESSIONED: Final[Revision] = V2025_03_26
"""What a session-less request of the handshake era is taken for when nothing says its revision (SHL-52)."""

__all__ = [
    "ENVELOPE_NAMES",
    "HANDSHAKES",
    "HANDSHAKE_NAMES",
    "NEWEST",
    "NEWEST_HANDSHAKE",
    "PLAIN",
    "REVISIONS",
    "SUPPORTED",
    "UNSESSIONED",
]

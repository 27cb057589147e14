"""Variables that look like settings and are none: each is told of once, with the name that was probably meant.

What must never stand here: what a setting means.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

PREFIX: Final = "MCP_"
CLOSE: Final = 0.85
"""How alike a name without the prefix must be to a setting's to be taken for it: such names are other programs' too."""

_OF_A_PART: Final = 0.85
"""How much likeness to a part of a name counts."""

logger = logging.getLogger("mcpkit.settings")
_of_programs: set[str] = set()
_told: set[str] = set()


def know_variables(*names: str) -> None:
    """Tell which variables a program reads itself, beside the library's settings: they are never called unknown."""
    _of_programs.update(names)


def unknown_variables(variables: Mapping[str, str], file: Iterable[str], known: Iterable[str]) -> dict[str, str | None]:
    """The names among ``variables`` that nothing reads, each with the setting that was probably meant.

    Names from a ``file`` count as meant for this program when they are nearly a setting's; names of the environment,
    which all programs share, only with the prefix, in any case.
    """
    known = {*known, *_of_programs}
    strange = [name for name in variables if name.upper().startswith(PREFIX) and name not in known]
    misspelt = [name for name in file if name not in known and name not in strange and _nearest(name, known, CLOSE)]
    return {name: _nearest(name, known) for name in sorted({*strange, *misspelt})}


def explain(name: str, near: str | None) -> str:
    """Say that a variable does nothing, and what to write instead."""
    return f"{name} is no setting, so it does nothing" + (f"; did you mean {near}?" if near else "")


def warn_once(unknown: Mapping[str, str | None]) -> None:
    """Log each name, the first time in this process."""
    for name, near in unknown.items():
        if name not in _told:
            _told.add(name)
            logger.warning("%s", explain(name, near))


def _nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The setting that is most alike, as a whole or without its first words: MCP_PORT is MCP_SERVER_PORT."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - most starts have no such name, and need not pay for it

    full = name.upper()
    bare = full.removeprefix(PREFIX)

    def alike(other: str) -> float:
        if not full.startswith(PREFIX):
            return SequenceMatcher(None, full, other).ratio()
        if not other.startswith(PREFIX):
            return _OF_A_PART * SequenceMatcher(None, full, other).ratio()
        words = other.removeprefix(PREFIX).split("_")
        whole, *parts = (SequenceMatcher(None, bare, "_".join(words[at:])).ratio() for at in range(len(words)))
        return max(whole, *(_OF_A_PART * part for part in parts), 0.0)

    score, found = max(((alike(other), other) for other in known), default=(0.0, ""))
    return found if score >= cutoff else None

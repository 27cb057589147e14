"""A near name for a misspelt one. What must never stand here: who asked, or names that the asker must not see."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LONGEST: Final = 64
"""Longer names are not compared: the comparison is quadratic, and the caller chose the name."""
_FEW: Final = 8


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that was probably meant."""
    if len(name) > _LONGEST:
        return None
    folded = {known.casefold(): known for known in names}
    close = get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """``; did you mean 'add'?``, or nothing."""
    near = nearest(name, names)
    return f"; did you mean {near!r}?" if near else ""


def unknown(what: str, name: str, names: Iterable[str], listing: str) -> str:
    """The text for a name that does not exist: a near one, else the few there are, and where all are listed."""
    known = sorted(names)
    text = f"Unknown {what} {clipped(name)!r}"
    if hint := did_you_mean(name, known):
        return text + hint
    if 0 < len(known) <= _FEW:
        return f"{text}; there are {', '.join(known)}"
    return f"{text}; {listing} names what there is"


def clipped(text: str, most: int = _LONGEST) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"

"""Text from a server made safe to show: control characters, escape sequences and direction marks taken out.

What a server calls its tools is written by strangers: a terminal must not execute it, and a reader must not be shown
one thing while another is meant (TSEC-03). What must never stand here: a judgement about what the text says.
"""

from __future__ import annotations

import unicodedata
from typing import Any, Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")  # Persian and Indic words and many emoji are written with them


def clean(text: Any, limit: int = 2_000, *, lines: bool = False) -> str:
    """``text`` without anything that is not seen, at most ``limit`` characters; line breaks only where ``lines``."""
    if not isinstance(text, str):
        return ""
    kept = "".join(_shown(character, lines) for character in text[: limit * 4])
    tidy = kept if lines else " ".join(kept.split())
    return tidy if len(tidy) <= limit else tidy[: limit - 1] + "…"


def _shown(character: str, lines: bool) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if character in "\n\t":
        return character if lines else " "
    if unicodedata.category(character) in _UNSEEN:
        return " " if character in "\r\v\f\x85\u2028\u2029" else ""
    return " "

"""The names of members of ``_meta``: their grammar, and the ones that are the specification's (META-01 to META-06).

What must never stand here: what a key means.
"""

from __future__ import annotations

import re
from typing import Final

_LABEL: Final = re.compile(r"[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)
_NAME: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?", re.ASCII)
_RESERVED: Final = frozenset({"mcp", "modelcontextprotocol"})
_BARE: Final = frozenset({"progressToken", "traceparent", "tracestate", "baggage"})


def fault_of(key: str) -> str | None:
    """Why an author may not use that key; None where it is free."""
    prefix, slash, name = key.rpartition("/")
    labels = prefix.split(".") if slash else []
    if not _NAME.fullmatch(name) or not all(_LABEL.fullmatch(label) for label in labels):
        return 'must be a name, or a prefix such as "com.example/" and a name'
    if name in _BARE and not labels:
        return "has a meaning of the protocol's own"
    if _RESERVED & {*labels[1:2], *labels[:-1]}:
        return 'has a prefix that is kept for the protocol; use one of your own, such as "com.example/"'
    return None

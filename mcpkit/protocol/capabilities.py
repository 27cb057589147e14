"""What a client declared, against what an exchange needs (protocol-core CAP-03…CAP-05).

How capabilities look under a revision is told by that revision's changes (``revision.lower["capabilities"]``). What
must never stand here: which feature needs what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FORMS: Final[dict[str, Any]] = {"form": {}}


def lacks(declared: Mapping[str, Any], required: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``required`` is not declared, in the same shape: ``{}`` when all of it is.

    Both are shaped like a client's capabilities, objects all the way down; what is declared as anything else than an
    object is not declared. An ``elicitation`` that names no mode means forms (CAP-03).
    """
    missing: dict[str, Any] = {}
    for name, wanted in required.items():
        offered = declared.get(name)
        if not isinstance(offered, Mapping):
            missing[name] = wanted
        elif wanted:
            nested = lacks(_modes(offered) if name == "elicitation" else offered, wanted)
            if nested:
                missing[name] = nested
    return missing


def _modes(elicitation: Mapping[str, Any]) -> Mapping[str, Any]:
    return elicitation if "form" in elicitation or "url" in elicitation else _FORMS

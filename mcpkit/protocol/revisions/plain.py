"""Plain JSON-RPC 2.0 as one more revision: no lifecycle, no session, nothing but calls, alone or in arrays.

What must never stand here: a way to talk back.
"""

from __future__ import annotations

from mcpkit.protocol.revisions.revision import Asks, Change, Era, HttpRules, LogGate, derive
from mcpkit.protocol.revisions.v2025_11_25 import V2025_11_25

_NEEDS_A_SESSION = frozenset({"initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"})

PLAIN = derive(
    V2025_11_25,
    "",
    changes=[
        Change(
            "There is no lifecycle and nothing is remembered between calls",
            set={
                "era": Era.NONE,
                "requests": frozenset(
                    method for method in V2025_11_25.requests - _NEEDS_A_SESSION if not method.startswith("tasks/")
                ),
                "notifications": frozenset(),
                "http": HttpRules(),
            },
        ),
        Change("Calls may come in arrays (JSON-RPC 2.0 §6)", set={"batch": True}),
        Change("The caller can't be asked", set={"asks": Asks.NEVER}),
        Change("The caller gets no log", set={"log_gate": LogGate.NEVER}),
    ],
)

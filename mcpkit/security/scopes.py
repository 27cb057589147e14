"""Scopes: what a principal was granted against what an operation needs, with hierarchies.

What must never stand here: which tool needs which scope.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mcpkit.security.principal import Principal


@dataclass(frozen=True, slots=True)
class ScopeRules:
    """Which scopes contain which: ``implied={"admin": {"write"}, "write": {"read"}}`` (TOK-10)."""

    implied: Mapping[str, Collection[str]] = field(default_factory=dict)

    def granted(self, scopes: Collection[str]) -> frozenset[str]:
        """All that these scopes amount to."""
        reached, pending = set(scopes), list(scopes)
        while pending:
            for narrower in self.implied.get(pending.pop(), ()):
                if narrower not in reached:
                    reached.add(narrower)
                    pending.append(narrower)
        return frozenset(reached)

    def permits(self, principal: Principal | None, needed: Collection[str]) -> bool:
        """Whether the principal may do what needs ``needed``; nobody may do what needs anything."""
        if not needed:
            return True
        return principal is not None and self.granted(principal.scopes).issuperset(needed)

"""Scopes and their hierarchies."""

from __future__ import annotations

import pytest

from mcpkit.security.principal import Principal
from mcpkit.security.scopes import ScopeRules

RULES = ScopeRules({"admin": {"write", "audit"}, "write": {"read"}, "read": {"write"}})


@pytest.mark.parametrize(
    ("granted", "needed", "permitted"),
    [
        ((), (), True),
        (("read",), ("read",), True),
        (("admin",), ("read", "audit"), True),
        (("audit",), ("read",), False),
        (("read",), ("read", "admin"), False),
    ],
)
def test_a_broader_scope_satisfies_a_narrower_need(granted: tuple[str], needed: tuple[str], permitted: bool) -> None:
    """TOK-10; a circle of implications ends."""
    assert RULES.permits(Principal("p", frozenset(granted)), needed) is permitted


def test_nobody_may_do_what_needs_anything() -> None:
    assert RULES.permits(None, ())
    assert not RULES.permits(None, ["b", "a"])

"""The caller's identity."""

from __future__ import annotations

from mcpkit.security.principal import Principal


def test_claims_are_no_part_of_who_it_is_and_never_shown() -> None:
    """TOK-11: nothing of a token gets into a log by printing its principal."""
    alice = Principal("alice", frozenset({"a"}), claims={"email": "alice@example.com"})
    assert alice == Principal("alice", frozenset({"a"}))
    assert "example.com" not in repr(alice)
    assert alice != Principal("bob", frozenset({"a"}))

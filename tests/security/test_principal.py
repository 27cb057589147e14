"""The caller's identity."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.security.principal import Principal


def test_claims_are_no_part_of_who_it_is_and_never_shown() -> None:
    """TOK-11: nothing of a token gets into a log by printing its principal."""
    alice = Principal("alice", frozenset({"a"}), claims={"email": "alice@example.com"})
    assert alice == Principal("alice", frozenset({"a"}))
    assert "example.com" not in repr(alice)
    assert alice != Principal("bob", frozenset({"a"}))


def test_no_two_callers_are_one() -> None:
    """Line breaks, separators of any encoding, composed and decomposed letters, other alphabets, no client at all."""
    texts = (
        *("", "a", "b", "a\nb", "\n", "a\n", "\nb", "a\r\nb", "a\x00", "a\u2028b", '"', '","', '\\"', "\\", "\\u0061"),
        *(
            "null",
            "[]",
            '["a","b"]',
            "é",
            "e\u0301",
            "\u212b",
            "\u00c5",
            "A",
            "\uff21",
            "\u0430",
            " a",
            "a ",
            "ı",
            "😀",
        ),
        *("a\u200b", "\ufeffa", "%61", "api-key"),
    )
    callers = [(issuer, subject, client) for issuer in texts for subject in texts for client in (None, *texts)]
    ids = {Principal.identify(*caller) for caller in callers}
    assert len(ids) == len(callers)
    assert all(id.isascii() and id.isprintable() for id in ids)


@pytest.mark.parametrize("part", ["\ud83d", "a\udfffb", 7, ["a"], b"a"])
def test_what_is_no_text_names_nobody(part: Any) -> None:
    """Two halves of a surrogate pair beside each other would pass for the whole."""
    for parts in ((part, "a", None), ("a", part, None), ("a", "a", part)):
        with pytest.raises(ValueError, match="Unicode"):
            Principal.identify(*parts)


@pytest.mark.parametrize("id", ["", None, 5, b"x", "\ud800"])
def test_nobody_is_no_principal(id: Any) -> None:
    """All callers without a name would be one, who shares sessions and tasks."""
    with pytest.raises(ValueError, match="a principal's id must be a text that is not empty"):
        Principal(id)


@pytest.mark.parametrize("scopes", ["read", None, {5}, [None]])
def test_scopes_are_several_texts(scopes: Any) -> None:
    """One text would be read letter by letter."""
    with pytest.raises(ValueError, match="scopes must be a set of texts"):
        Principal("me", scopes)

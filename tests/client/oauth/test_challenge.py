"""``WWW-Authenticate``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.client.oauth.challenge import Challenge, challenge_in, challenges


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("", []),
        ("Bearer", [("bearer", {})]),
        ('Bearer realm="a", error=invalid_token', [("bearer", {"realm": "a", "error": "invalid_token"})]),
        (r'Bearer x="a \"b\" \\ c"', [("bearer", {"x": 'a "b" \\ c'})]),
        ("Negotiate dG9rZW4=, Bearer scope=a", [("negotiate", {}), ("bearer", {"scope": "a"})]),
        ('Basic realm="x", DPoP algs="ES256"', [("basic", {"realm": "x"}), ("dpop", {"algs": "ES256"})]),
        ("Bearer SCOPE = a , x=y", [("bearer", {"scope": "a", "x": "y"})]),
        ("Bearer scope=a, scope=b", [("bearer", {"scope": "a"})]),
        ("Bearer url=https://h.example/x", [("bearer", {"url": "https"})]),
        ('Bearer x="unfinished', [("bearer", {"x": "unfinished"})]),
        (",,, = == \x00", []),
        ("scope=a", []),
    ],
)
def test_reading(header: str, read: list[tuple[str, dict[str, str]]]) -> None:
    """RFC 9110 §11.6: several schemes, quoted and bare values, names without case; nonsense is left out."""
    assert [(one.scheme, dict(one.params)) for one in challenges(header)] == read


def test_the_one_to_answer() -> None:
    """ADIS-01: Bearer or DPoP, whichever says more."""
    header = 'Basic realm="x", DPoP, Bearer resource_metadata="https://h/x", scope="a b", error="insufficient_scope"'
    chosen = challenge_in({"www-authenticate": header})
    assert (chosen.resource_metadata, chosen.scopes, chosen.error) == ("https://h/x", ("a", "b"), "insufficient_scope")
    assert challenge_in({}) == Challenge()
    assert challenge_in({"www-authenticate": 'Basic realm="x"'}).scopes == ()


@given(st.text())
def test_nothing_hangs_or_raises(header: str) -> None:
    """Whatever a server sends."""
    for one in challenges(header):
        assert one.scheme == one.scheme.lower()


def test_a_header_without_end() -> None:
    """Bounded, and linear."""
    assert len(challenges("Bearer " + 'a="b", ' * 1_000_000)) == 1

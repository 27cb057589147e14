"""Shares of a bounded quantity: what one caller, and what all may hold."""

from __future__ import annotations

import pytest

from mcpkit.limits import Bound, BoundReached, Shares, digest_of, text_bytes


def test_one_caller_holds_its_share_and_all_hold_the_whole() -> None:
    shares = Shares(Bound("things", "MCP_MAX_THINGS", 100, 25))
    for _ in range(25):
        shares.take("one")
    with pytest.raises(BoundReached) as refused:
        shares.take("one")
    assert refused.value.of_caller
    assert str(refused.value) == (
        "One caller may hold 25 of 100 things (MCP_CALLER_SHARE, MCP_MAX_THINGS); end some, or try again later"
    )
    for other in ("two", "three", "four"):
        shares.take(other, 25)
    with pytest.raises(BoundReached) as refused:
        shares.take("five")
    assert not refused.value.of_caller
    assert str(refused.value) == "There may be 100 things in all (MCP_MAX_THINGS); try again later"
    shares.give("one", 20)
    shares.change("one", 5, 25)
    assert (shares.taken, shares.held("one")) == (100, 25)


def test_who_is_turned_away_holds_what_it_held() -> None:
    shares = Shares(Bound("bytes", "X", 100, 50, least=0))
    shares.take("one", 30)
    for step in (lambda: shares.take("one", 21), lambda: shares.change("one", 30, 51), lambda: shares.take("one", 71)):
        with pytest.raises(BoundReached):
            step()
        assert (shares.taken, shares.held("one")) == (30, 30)
    shares.change("one", 30, 0)
    assert (shares.taken, shares.held("one")) == (0, 0)


def test_a_caller_beside_whom_there_is_no_other_may_hold_all() -> None:
    shares = Shares(Bound("things", "X", 100, 1))
    shares.take("", 100)
    with pytest.raises(BoundReached) as refused:
        shares.take("")
    assert not refused.value.of_caller
    shares.give("", 100)
    assert shares.taken == 0


@pytest.mark.parametrize(
    ("most", "share", "each"), [(10_000, 25, 2500), (40, 25, 16), (8, 25, 8), (1, 1, 1), (100, 100, 100), (1000, 1, 16)]
)
def test_a_share_is_at_least_sixteen_and_at_most_all(most: int, share: int, each: int) -> None:
    assert Bound("things", "X", most, share).each == each


def test_a_caller_is_told_to_others_by_its_digest() -> None:
    assert digest_of("") == ""
    assert digest_of("203.0.113.1") != digest_of("203.0.113.2")
    assert len({digest_of(caller) for caller in ("203.0.113.1", "\ud800", "\ud801", "é")}) == 4


def test_equal_texts_take_the_same() -> None:
    text = "notes://é" * 10
    before = text_bytes(text)
    text.encode()
    assert text_bytes(text) == before == text_bytes("".join(text))
    assert text_bytes("a" * 1000) < text_bytes("é" * 1000)

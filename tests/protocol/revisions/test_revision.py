"""How a revision is derived: changes are continued, forgotten, folded; values are overwritten."""

from __future__ import annotations

from typing import Any

from mcpkit.protocol.revisions.revision import (
    Adapt,
    Asks,
    Chain,
    Change,
    Era,
    Fault,
    HttpRules,
    LogGate,
    Revision,
    derive,
)

NEWER = Revision(
    name="newer",
    era=Era.ENVELOPE,
    requests=frozenset({"a"}),
    notifications=frozenset(),
    http=HttpRules(),
    asks=Asks.NEVER,
    log_gate=LogGate.NEVER,
    invalid_arguments=Fault.TOOL_ERROR,
)


def appended(word: str) -> Adapt:
    def adapt(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "said": value.get("said", "") + word}

    return adapt


def test_changes_are_told_in_order() -> None:
    """The successor's lowering first, then this revision's changes as they stand."""
    middle = derive(NEWER, "middle", changes=[Change("1", lower={"a": appended("1")})])
    oldest = derive(
        middle, "oldest", changes=[Change("2", lower={"a": appended("2")}), Change("3", lower={"a": appended("3")})]
    )
    assert middle.lower["a"]({}) == {"said": "1"}
    assert oldest.lower["a"]({}) == {"said": "123"}
    assert NEWER.lower == {}


def test_lifting_goes_the_other_way() -> None:
    """The oldest change is lifted first, back towards the newest shape."""
    middle = derive(NEWER, "middle", changes=[Change("1", lift={"a": appended("1")})])
    oldest = derive(
        middle, "oldest", changes=[Change("2", lift={"a": appended("2")}), Change("3", lift={"a": appended("3")})]
    )
    assert oldest.lift["a"]({}) == {"said": "321"}


def test_what_the_newer_one_took_away_comes_back() -> None:
    """None forgets the successor's lowering; later changes of the same list go on from there."""
    newer = derive(NEWER, "newer", changes=[Change("1", lower={"a": appended("1"), "b": appended("1")})])
    older = derive(
        newer,
        "older",
        changes=[Change("back", lower={"a": None, "b": None, "c": None}), Change("2", lower={"b": appended("2")})],
    )
    assert "a" not in older.lower
    assert "c" not in older.lower
    assert older.lower["b"]({}) == {"said": "2"}


def test_params_have_a_table_of_their_own() -> None:
    """A client's params and a server's result of the same method are adapted apart."""
    older = derive(NEWER, "older", changes=[Change("1", lower={"a": appended("r")}, lower_params={"a": appended("p")})])
    assert older.lower["a"]({}) == {"said": "r"}
    assert older.lower_params["a"]({}) == {"said": "p"}


def test_fields_are_set() -> None:
    """The last word counts; what is not said stays."""
    older = derive(NEWER, "older", changes=[Change("1", set={"batch": True}), Change("2", set={"asks": Asks.NEVER})])
    assert (older.name, older.batch, older.asks, older.requests) == ("older", True, Asks.NEVER, NEWER.requests)


def test_chains_are_flat() -> None:
    """However old the revision, one loop over plain functions."""
    one, two, three = appended("1"), appended("2"), appended("3")
    assert Chain(Chain(one, two), three).steps == (one, two, three)

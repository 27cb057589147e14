"""Cursors: complete in themselves, and nobody else's string is one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.pagination import decode_cursor, encode_cursor


@given(st.text(st.characters(codec=None), max_size=200))
def test_there_and_back(after: str) -> None:
    """PAGE-03: whatever an item is called."""
    cursor = encode_cursor(after)
    assert decode_cursor(cursor) == after
    assert cursor.isascii()
    assert cursor


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "not-a-cursor",
        "MTphZGQ=",
        "MTphZGQ ",
        "MTph\nZGQ",
        "YWRk",
        "MTr_",
        "größe",
        "A" * 10_000,
        5,
        None,
        True,
        [],
    ],
)
def test_not_ours(cursor: Any) -> None:
    """PAGE-03: bad params, with the next step."""
    with pytest.raises(InvalidParams, match="list again"):
        decode_cursor(cursor)


def test_one_cursor_a_place() -> None:
    """PAGE-03: stable, and padded or not is not the same."""
    assert encode_cursor("add") == encode_cursor("add") == "MTphZGQ"


@given(st.text(max_size=60))
def test_a_strangers_string_never_passes_by_luck(text: str) -> None:
    """Only what encodes to itself is accepted."""
    try:
        after = decode_cursor(text)
    except InvalidParams:
        return
    assert encode_cursor(after) == text

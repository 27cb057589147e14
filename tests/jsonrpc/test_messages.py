"""Messages as values."""

from __future__ import annotations

import pytest

from mcpkit.jsonrpc.codec import encode_result
from mcpkit.jsonrpc.messages import Encoded, Notification, Request, Response


def test_messages_are_equal_by_what_they_say() -> None:
    assert Request(1, "m", {}) == Request(1, "m", {})
    assert Request(1, "m", {}) != Request("1", "m", {})
    assert Notification("m", {}) != Notification("n", {})


def test_messages_carry_nothing_else() -> None:
    with pytest.raises(AttributeError):
        Response(1, {}).extra = 1  # type: ignore[attr-defined]  # the mistake under test


def test_an_encoded_result_is_put_in_as_it_stands() -> None:
    assert encode_result(1, Encoded(b'{"a": 1}')) == b'{"jsonrpc":"2.0","id":1,"result":{"a": 1}}'

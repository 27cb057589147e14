"""Bytes of a server."""

from __future__ import annotations

import pytest

from mcpkit.client.transports.incoming import Broken, answers, read_messages
from mcpkit.jsonrpc.codec import Limits
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Notification, Request, Response

LIMITS = Limits(depth=10)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{",
        b"nonsense",
        b"[]",
        b"5",
        b"[" * 100_000,
        b'{"jsonrpc":"2.0","id":null,"method":"x"}',
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"jsonrpc":"2.0","id":1.5,"result":{}}',
        b'{"jsonrpc":"2.0","id":[1],"result":{}}',
        b'{"jsonrpc":"2.0","id":true,"error":{"code":1,"message":"x"}}',
    ],
)
def test_nothing_at_all_raises(data: bytes) -> None:
    """Issue: invalid JSON is survived; nobody in particular is told of it."""
    (broken,) = read_messages(data, LIMITS)
    assert isinstance(broken, Broken)
    assert broken.id is None


@pytest.mark.parametrize(
    "member", [b'"result":5', b'"result":{},"error":{"code":1,"message":"x"}', b'"error":"x"', b'"error":{"code":"1"}']
)
def test_a_broken_answer_finds_its_caller(member: bytes) -> None:
    """RPC-07, RPC-08: who waits is told at once, not by a timeout."""
    (broken,) = read_messages(b'{"jsonrpc":"2.0","id":7,%b}' % member, LIMITS)
    assert isinstance(broken, Broken)
    assert answers(broken, 7)


def test_batches_are_taken_apart() -> None:
    """BAT-01: receiving is a duty; one broken entry does not spoil the rest."""
    call = b'{"jsonrpc":"2.0","id":1,"method":"m"}'
    batch = b'[{"jsonrpc":"2.0","method":"n"},5,{"jsonrpc":"2.0","id":"a","result":{}},%b]' % call
    kinds = [type(message) for message in read_messages(batch, LIMITS)]
    assert kinds == [Notification, Broken, Response, Request]


@pytest.mark.parametrize(
    ("theirs", "ours", "same"), [(1, 1, True), ("1", 1, False), (1, "1", False), (2, 1, False), (None, 1, False)]
)
def test_ids_are_compared_with_their_types(theirs: int | str | None, ours: int | str, same: bool) -> None:
    """RPC-06."""
    assert answers(ErrorResponse(theirs, RpcError(1, "x")), ours) is same


def test_calls_answer_nothing() -> None:
    """A server's request with our id is no answer to ours."""
    assert not answers(Request(1, "m", {}), 1)
    assert not answers(Notification("n", {}), None)

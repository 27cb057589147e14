"""The error tree: what goes on the wire, and what doesn't."""

from __future__ import annotations

import pytest

from mcpkit.jsonrpc.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    McpKitError,
    MethodNotFound,
    ParseError,
    RpcError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParseError(), -32700),
        (InvalidRequest(), -32600),
        (MethodNotFound("x/y"), -32601),
        (InvalidParams(), -32602),
        (InternalError(), -32603),
    ],
)
def test_the_five_numbers_of_json_rpc(error: RpcError, code: int) -> None:
    """RPC-08, RPC-13, RPC-14: an integer code and one sentence, data only where there is some."""
    assert error.to_wire() == {"code": code, "message": error.message}
    assert isinstance(error, McpKitError)
    assert str(error) == error.message


def test_data_travels_even_when_it_is_false() -> None:
    assert RpcError(1, "m", {"uri": "a"}).to_wire() == {"code": 1, "message": "m", "data": {"uri": "a"}}
    assert RpcError(1, "m", 0).to_wire()["data"] == 0


def test_a_missing_method_is_named() -> None:
    assert MethodNotFound("x/y").message == "Method not found: x/y"


def test_an_invalid_request_may_know_its_id() -> None:
    """RPC-11."""
    assert InvalidRequest("m", id="a").id == "a"
    assert InvalidRequest("m").id is None

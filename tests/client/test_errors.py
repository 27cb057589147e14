"""Errors as a caller sees them."""

from __future__ import annotations

import pytest

from mcpkit.client.errors import (
    ClientError,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    ServerRefused,
    SessionEnded,
    Timeout,
    ToolFailed,
    Unreachable,
)
from mcpkit.jsonrpc.errors import McpKitError, RpcError


def test_a_local_failure_has_no_code() -> None:
    """ERR-08: only what the server answered looks like a JSON-RPC error."""
    refused = ServerRefused(RpcError(-32602, "bad", {"uri": "x"}), status=400)
    assert (refused.code, refused.data, refused.status, str(refused)) == (-32602, {"uri": "x"}, 400, "bad (-32602)")
    for error in (ConnectionLost("x"), Timeout("x"), Unreachable("x"), ProtocolViolation("x"), HttpRefused(500, "x")):
        assert isinstance(error, ClientError)
        assert isinstance(error, McpKitError)
        assert not isinstance(error, RpcError)
        assert not hasattr(error, "code")


@pytest.mark.parametrize(
    ("status", "retryable", "served"), [(429, True, False), (503, True, False), (502, True, True), (400, False, True)]
)
def test_a_busy_server_has_not_served(status: int, retryable: bool, served: bool) -> None:
    """TCLI-03: 429 and 503 say so; what a gateway answered may have been served behind it."""
    error = HttpRefused(status, "no")
    assert (error.retryable, error.served) == (retryable, served)


def test_an_ended_session_was_not_served() -> None:
    """SHL-45."""
    assert not SessionEnded().sent
    assert ConnectionLost("x").sent


def test_what_a_server_says_is_fit_to_be_shown() -> None:
    """TSEC-03: a traceback is shown on a terminal too; the result itself is as it came."""
    assert str(ServerRefused(RpcError(1, "a\x1b[2J\u202eb"))) == "a[2Jb (1)"
    failed = ToolFailed("on\x1b fire\nreally", {"raw": "\x1b"})
    assert (str(failed), failed.result) == ("on fire\nreally", {"raw": "\x1b"})

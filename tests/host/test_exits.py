"""Every failure has its number."""

from __future__ import annotations

import pytest

from mcpkit.client import errors
from mcpkit.host.exits import exit_code
from mcpkit.host.model import ModelDenied, ModelError
from mcpkit.jsonrpc.errors import RpcError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AuthorizationFailed("x"), 3),
        (errors.Unreachable("x"), 4),
        (errors.ConnectionLost("x"), 4),
        (errors.Timeout("x"), 4),
        (ModelError("x"), 4),
        (ModelDenied("x"), 3),
        (errors.ToolFailed("x", None), 5),
        (errors.HttpRefused(404, "x"), 6),
        (errors.ProtocolViolation("x"), 6),
        (errors.Unsupported("x"), 6),
        (errors.ServerRefused(RpcError(-32602, "x")), 7),
        (errors.ClientError("x"), 8),
    ],
)
def test_exit_codes(error: Exception, code: int) -> None:
    assert exit_code(error) == code

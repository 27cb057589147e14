"""Errors between a function and its caller."""

from __future__ import annotations

import pytest

from mcpkit.features.errors import MOST_PROBLEMS, BadArguments, InsufficientScope, RegistrationError
from mcpkit.features.problems import Problem
from mcpkit.jsonrpc.errors import RpcError


def test_bad_arguments_read_as_one_short_line() -> None:
    error = BadArguments([Problem("a", "is required but missing"), Problem("", "is no object")])
    assert str(error) == "a: is required but missing; is no object"


def test_many_problems_are_told_in_part() -> None:
    error = BadArguments([Problem(f"p{n}", "is wrong") for n in range(MOST_PROBLEMS + 3)])
    assert str(error).endswith("; and 3 more")
    assert len(error.problems) == MOST_PROBLEMS + 3


def test_a_registration_error_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        raise RegistrationError("no")


def test_missing_scopes_name_what_is_needed() -> None:
    """STEP-01, STEP-02: all the operation needs, so that a client can ask for it at once."""
    error = InsufficientScope(("notes:read", "notes:write"))
    assert isinstance(error, RpcError)
    assert error.scopes == ("notes:read", "notes:write")
    assert error.data == {"requiredScopes": ["notes:read", "notes:write"]}

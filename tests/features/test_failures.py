"""What callers are told of a failure, and what only the log says."""

from __future__ import annotations

import logging

import pytest
from pydantic import TypeAdapter, ValidationError

from mcpkit.features.errors import BadReturn, ToolError
from mcpkit.features.failures import failure_text
from mcpkit.features.running import DeadlineExpired
from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.protocol.exchange import NoBackChannel

logger = logging.getLogger("mcpkit.tests")
SECRET = "/srv/app/secret.py says password=hunter2"


def text(error: Exception) -> str:
    return failure_text("tool", error, logger)


@pytest.mark.parametrize("error", [ToolError("sold out"), ValueError("sold out"), NoBackChannel("sold out")])
def test_words_meant_for_the_caller_are_told(error: Exception) -> None:
    """TOOL-24."""
    assert text(error) == "sold out"


@pytest.mark.parametrize(
    "error", [KeyError(SECRET), OSError(SECRET), RuntimeError(SECRET), McpKitError(SECRET), BadReturn(SECRET)]
)
def test_other_words_are_only_logged(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """TSEC-06: no path, no detail; the log has them."""
    told = text(error)
    assert "secret" not in told
    assert told.startswith("tool failed")
    assert "secret" in caplog.text


@pytest.mark.parametrize("error", [ToolError(), ValueError(), NoBackChannel()])
def test_an_error_without_words_is_still_told(error: Exception) -> None:
    assert text(error) == "tool failed"


def test_a_deadline_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert text(DeadlineExpired(2.5)) == "tool timed out after 2.5 s; try a smaller request, or try again later"
    assert "timed out" in caplog.text


def test_pydantics_errors_are_told_without_their_noise() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"a": "x" * 500})
    told = text(caught.value)
    assert told.startswith("tool failed: a: ")
    assert "http" not in told
    assert "xxx" not in told


def test_long_words_are_cut() -> None:
    assert len(text(ValueError("x" * 100_000))) <= 2_000

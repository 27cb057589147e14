"""Plain JSON-RPC: calls without a lifecycle."""

from __future__ import annotations

import pytest

from mcpkit.protocol.revisions.plain import PLAIN
from mcpkit.protocol.revisions.revision import Asks, Era, LogGate
from tests.schema.samples import RESULTS


def test_what_it_is() -> None:
    """No name, no session, no questions, no log; arrays; every error with status 200."""
    assert (PLAIN.name, PLAIN.era, PLAIN.asks, PLAIN.log_gate) == ("", Era.NONE, Asks.NEVER, LogGate.NEVER)
    assert PLAIN.batch
    assert not PLAIN.http.sessions
    assert PLAIN.http.status == {}
    assert PLAIN.notifications == frozenset()


@pytest.mark.parametrize("method", ["initialize", "logging/setLevel", "resources/subscribe", "tasks/get"])
def test_nothing_that_needs_a_session(method: str) -> None:
    """Where nothing is remembered nothing can be subscribed to."""
    assert method not in PLAIN.requests


@pytest.mark.parametrize("method", ["ping", *RESULTS])
def test_the_rest_can_be_called(method: str) -> None:
    """Tools, resources, prompts, completion, ping."""
    assert method in PLAIN.requests


def test_results_have_no_envelope() -> None:
    """RES-05: a plain caller sees the bare result."""
    result = PLAIN.lower["tools/call"](RESULTS["tools/call"])
    assert set(result) == {"content", "structuredContent", "isError", "_meta"}
    assert result["_meta"] == {"com.example/note": "kept"}

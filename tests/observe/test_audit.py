"""The audit trail: who, what, how it ended; never a value or a secret."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from mcpkit.observe.audit import Audit, fingerprint
from tests.observe.calls import served

EVENT: dict[str, Any] = {
    "method": "tools/call",
    "target": "add",
    "arguments": {"a": 2, "b": 3.5},
    "client": "inspector",
    "principal": "issuer\nalice\ncli",
    "session": "secret-session-id",
    "id": 7,
    "seconds": 0.0123456,
}


def line(caplog: pytest.LogCaptureFixture, **changes: Any) -> dict[str, Any]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "mcpkit.audit"):
        Audit().began("tools/call")
        Audit().served(served(**{**EVENT, **changes}))
    [record] = caplog.records
    return dict(orjson.loads(record.getMessage()))


def test_a_call_is_one_line_of_json(caplog: pytest.LogCaptureFixture) -> None:
    said = line(caplog)
    assert said.pop("time").endswith("+00:00")
    assert said == {
        "principal": fingerprint(EVENT["principal"]),
        "client": "inspector",
        "session": fingerprint("secret-session-id"),
        "method": "tools/call",
        "target": "add",
        "outcome": "ok",
        "ms": 12.346,
        "argument_bytes": 15,
        "request_id": "7",
    }
    assert line(caplog, error="tool_error")["outcome"] == "tool_error"


def test_no_secret_and_no_line_break_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """LEAK-05: sessions are hashes; a hostile name can't forge a line."""
    line(caplog, target='x\n{"forged": 1}', client="c" * 1000, id="i" * 1000)
    [record] = caplog.records
    text = record.getMessage()
    assert "secret-session-id" not in text
    assert "\n" not in text
    assert len(text) < 700


def test_it_is_silent_when_its_logger_is_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "mcpkit.audit"):
        Audit().served(served(**EVENT))
    assert caplog.records == []

"""What a request says of itself in ``_meta``."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.envelope import LOG_LEVELS, has_envelope, read_envelope

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
INFO = "io.modelcontextprotocol/clientInfo"
LEVEL = "io.modelcontextprotocol/logLevel"
RELATED_TASK = "io.modelcontextprotocol/related-task"
REQUIRED: dict[str, Any] = {VERSION: "2026-07-28", CAPABILITIES: {}}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"_meta": {VERSION: "2026-07-28"}}, True),
        ({"_meta": {CAPABILITIES: {}}}, True),
        ({"_meta": {INFO: None}}, True),
        ({"_meta": {RELATED_TASK: {"taskId": "t"}}}, False),
        ({"_meta": {LEVEL: "info", "progressToken": 1}}, False),
        ({"_meta": {}}, False),
        ({"_meta": "text"}, False),
        ({"_meta": None}, False),
        ({}, False),
    ],
)
def test_evidence(params: dict[str, Any], expected: bool) -> None:
    """DUAL-02 step 3, META-25: three keys tell the era, a related task doesn't."""
    assert has_envelope(params) is expected


def test_whole() -> None:
    """META-10, META-13."""
    info = {"name": "c", "version": "1", "title": "C"}
    declared: dict[str, Any] = {"sampling": {}}
    envelope = read_envelope(
        {"_meta": {VERSION: "v999", CAPABILITIES: declared, INFO: info, LEVEL: "warning", "progressToken": 7}}
    )
    assert (envelope.version, envelope.log_level) == ("v999", "warning")
    assert (envelope.client.info, envelope.client.capabilities) == (info, declared)


def test_a_client_need_not_name_itself() -> None:
    """META-12."""
    envelope = read_envelope({"_meta": REQUIRED})
    assert (envelope.client.info, envelope.log_level) == ({}, None)


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_every_level(level: str) -> None:
    """LOG-01."""
    assert read_envelope({"_meta": {**REQUIRED, LEVEL: level}}).log_level == level


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, "params._meta is required"),
        ({"_meta": None}, "params._meta is required"),
        ({"_meta": []}, "params._meta is required"),
        ({"_meta": {}}, VERSION),
        ({"_meta": {CAPABILITIES: {}}}, VERSION),
        ({"_meta": {VERSION: "2026-07-28"}}, CAPABILITIES),
        ({"_meta": {**REQUIRED, VERSION: 20260728}}, VERSION),
        ({"_meta": {**REQUIRED, VERSION: None}}, VERSION),
        ({"_meta": {**REQUIRED, CAPABILITIES: []}}, CAPABILITIES),
        ({"_meta": {**REQUIRED, CAPABILITIES: "sampling"}}, CAPABILITIES),
        ({"_meta": {**REQUIRED, INFO: "me"}}, INFO),
        ({"_meta": {**REQUIRED, INFO: None}}, INFO),
        ({"_meta": {**REQUIRED, INFO: {"name": "c"}}}, INFO),
        ({"_meta": {**REQUIRED, INFO: {"name": "c", "version": 1}}}, INFO),
        ({"_meta": {**REQUIRED, LEVEL: "loud"}}, LEVEL),
        ({"_meta": {**REQUIRED, LEVEL: 3}}, LEVEL),
        ({"_meta": {**REQUIRED, LEVEL: ["info"]}}, LEVEL),
    ],
)
def test_faults(params: dict[str, Any], named: str) -> None:
    """META-11, META-15, LOG-04: bad params, and the sentence names the key."""
    with pytest.raises(InvalidParams) as refused:
        read_envelope(params)
    assert refused.value.code == -32602
    assert named in refused.value.message

"""The newest revision, stated whole: numbers, statuses, and the four things that it took away."""

from __future__ import annotations

from mcpkit.protocol.revisions.revision import Asks, ErrorKind, Fault, LogGate
from mcpkit.protocol.revisions.v2026_07_28 import V2026_07_28
from tests.schema.samples import CAPABILITIES, CLIENT_CAPABILITIES, DISCOVER, LISTING_TOOL, TOOL, URL


def test_fields() -> None:
    """STATE-01, SHM-08, LOG-03, MRTR-01, AMB-02."""
    http = V2026_07_28.http
    assert (http.sessions, http.routing_headers, http.resumable, http.priming) == (False, True, False, False)
    assert http.disconnect_cancels
    assert V2026_07_28.asks is Asks.INPUT_REQUIRED
    assert V2026_07_28.log_gate is LogGate.REQUEST_META
    assert V2026_07_28.invalid_arguments is Fault.TOOL_ERROR
    assert V2026_07_28.stamps_results
    assert not V2026_07_28.batch


def test_error_numbers() -> None:
    """The table of protocol-core §3; ERR-01: the two old numbers are never sent."""
    assert V2026_07_28.codes == {
        ErrorKind.RESOURCE_NOT_FOUND: -32602,
        ErrorKind.HEADER_MISMATCH: -32020,
        ErrorKind.MISSING_CLIENT_CAPABILITY: -32021,
        ErrorKind.UNSUPPORTED_PROTOCOL_VERSION: -32022,
    }


def test_statuses() -> None:
    """SHM-10…SHM-12: bad params and internal errors of a handler stay 200."""
    assert V2026_07_28.http.status == {
        -32700: 400,
        -32600: 400,
        -32601: 404,
        -32020: 400,
        -32021: 400,
        -32022: 400,
    }


def test_what_it_took_away() -> None:
    """SHAPE table: execution; CAP-06: tasks; CAP table: roots.listChanged; ELIC-24: elicitationId."""
    lower = V2026_07_28.lower
    listed = lower["tools/list"]({"tools": [TOOL, LISTING_TOOL]})["tools"]
    assert listed == [{name: member for name, member in TOOL.items() if name != "execution"}, LISTING_TOOL]
    offered = lower["server/discover"](DISCOVER)["capabilities"]
    assert offered == lower["capabilities"](CAPABILITIES)
    assert set(CAPABILITIES) - set(offered) == {"tasks"}
    declared = lower["clientCapabilities"](CLIENT_CAPABILITIES)
    assert declared["roots"] == {}
    assert "tasks" not in declared
    assert "elicitationId" not in lower["elicitation/create"](URL)

"""Errors with a kind: the revision in force gives them their number."""

from __future__ import annotations

import pytest

from mcpkit.protocol.errors import (
    HeaderMismatch,
    McpRpcError,
    MissingClientCapability,
    ResourceNotFound,
    UnsupportedProtocolVersion,
    UrlElicitationRequired,
)
from mcpkit.protocol.revisions.registry import PLAIN, REVISIONS, SUPPORTED

ERRORS = [
    HeaderMismatch("differs"),
    MissingClientCapability({"sampling": {}}),
    UnsupportedProtocolVersion("v999"),
    ResourceNotFound("docs://x"),
    UrlElicitationRequired([{"mode": "url", "elicitationId": "e", "url": "https://e.example", "message": "m"}]),
]
NUMBERS = {
    "2026-07-28": [-32020, -32021, -32022, -32602, -32602],
    "2025-11-25": [-32602, -32602, -32602, -32002, -32042],
    "2025-06-18": [-32602, -32602, -32602, -32002, -32602],
    "2025-03-26": [-32602, -32602, -32602, -32002, -32602],
    "2024-11-05": [-32602, -32602, -32602, -32002, -32602],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str) -> None:
    """ERR-01, ERR-06, ERR-07, ERR-11: a kind that a revision lacks is bad params there."""
    assert [error.under(REVISIONS[name]).code for error in ERRORS] == NUMBERS[name]


def test_plain_numbers() -> None:
    """The caller of plain JSON-RPC gets the numbers of the handshake era."""
    assert ResourceNotFound("x").under(PLAIN).code == -32002


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_under_changes_nothing_else(error: McpRpcError) -> None:
    """RPC-08: message and data are the same under every revision."""
    renumbered = error.under(REVISIONS["2024-11-05"])
    assert (renumbered.message, renumbered.data) == (error.message, error.data)
    assert "\n" not in error.message


def test_before_a_revision_is_known_the_newest_counts() -> None:
    """SHM-21, SHM-23: classification fails before there is a revision."""
    assert [error.code for error in ERRORS[:3]] == [-32020, -32021, -32022]


def test_data() -> None:
    """ERR-06, ERR-09, ERR-10, ELIC-23."""
    assert ResourceNotFound("docs://x").data == {"uri": "docs://x"}
    assert UnsupportedProtocolVersion("v999").data == {"supported": list(SUPPORTED), "requested": "v999"}
    assert MissingClientCapability({"elicitation": {"url": {}}}).data == {
        "requiredCapabilities": {"elicitation": {"url": {}}}
    }
    assert [entry["url"] for entry in ERRORS[4].data["elicitations"]] == ["https://e.example"]


def test_messages_name_the_next_step() -> None:
    """What to do about it stands in the sentence."""
    assert "2025-06-18" in UnsupportedProtocolVersion("v999").message
    assert "v999" not in UnsupportedProtocolVersion("v999").message
    assert "sampling" in MissingClientCapability({"sampling": {}}).message
    wanted = {"elicitation": {"url": {}}, "extensions": {"com.example/x": {}}}
    assert MissingClientCapability(wanted).message.endswith(": elicitation.url, extensions.com.example/x")


@pytest.mark.parametrize("name", REVISIONS)
def test_no_number_is_invented(name: str) -> None:
    """ERR-03, ERR-04, ERR-05: JSON-RPC's own five, and what the revision itself defines."""
    numbers = {error.under(REVISIONS[name]).code for error in ERRORS}
    defined = {"2026-07-28": {-32020, -32021, -32022}, "2025-11-25": {-32002, -32042}}.get(name, {-32002})
    assert numbers <= {-32700, -32600, -32601, -32602, -32603} | defined


def test_what_a_caller_sent_is_repeated_in_part() -> None:
    """Whoever sends a megabyte does not get it back."""
    long = "x" * 900_000
    for error in (ResourceNotFound(long), UnsupportedProtocolVersion(long)):
        assert 500 <= len(str(error.to_wire())) < 1000

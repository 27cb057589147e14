"""Which revisions there are, in which order, and how the table of protocol-core §10 reads in them."""

from __future__ import annotations

import pytest

from mcpkit.protocol.revisions import registry
from mcpkit.protocol.revisions.registry import HANDSHAKES, NEWEST, NEWEST_HANDSHAKE, PLAIN, REVISIONS, SUPPORTED
from mcpkit.protocol.revisions.revision import Asks, Era, Fault, LogGate

EVERYWHERE = {
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
}
HANDSHAKE_ONLY = {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
NOTIFICATIONS = {
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
}
TASKS = {"tasks/get", "tasks/cancel", "tasks/list", "tasks/result"}
REQUESTS = {
    "2024-11-05": EVERYWHERE | HANDSHAKE_ONLY,
    "2025-03-26": EVERYWHERE | HANDSHAKE_ONLY,
    "2025-06-18": EVERYWHERE | HANDSHAKE_ONLY,
    "2025-11-25": EVERYWHERE | HANDSHAKE_ONLY | TASKS,
    "2026-07-28": EVERYWHERE | {"server/discover", "subscriptions/listen", "tasks/get", "tasks/update", "tasks/cancel"},
}


def test_five_revisions_newest_first() -> None:
    """VER-01, VER-02, DISC-04."""
    assert SUPPORTED == ("2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
    assert tuple(REVISIONS) == SUPPORTED
    assert all(revision.name == name for name, revision in REVISIONS.items())


def test_eras() -> None:
    """VER-03, INIT-08: a handshake never leads to the newest."""
    assert NEWEST.name == "2026-07-28"
    assert NEWEST_HANDSHAKE.name == "2025-11-25"
    assert [revision.name for revision in HANDSHAKES] == list(SUPPORTED[1:])
    assert set(SUPPORTED[1:]) == registry.HANDSHAKE_NAMES
    assert {"2026-07-28"} == registry.ENVELOPE_NAMES
    assert PLAIN.era is Era.NONE
    assert registry.UNSESSIONED.name == "2025-03-26"


@pytest.mark.parametrize("name", SUPPORTED)
def test_methods(name: str) -> None:
    """METH-01: absence is the gate."""
    assert REVISIONS[name].requests == REQUESTS[name]


@pytest.mark.parametrize("name", SUPPORTED)
def test_notifications(name: str) -> None:
    """METH-01, client to server."""
    expected = {
        "2026-07-28": {"notifications/cancelled"},
        "2025-11-25": NOTIFICATIONS | {"notifications/tasks/status"},
    }
    assert REVISIONS[name].notifications == expected.get(name, NOTIFICATIONS)


@pytest.mark.parametrize(
    ("name", "batch", "resumable", "priming", "fault"),
    [
        ("2025-11-25", False, True, True, Fault.TOOL_ERROR),
        ("2025-06-18", False, True, False, Fault.RPC_ERROR),
        ("2025-03-26", True, True, False, Fault.RPC_ERROR),
        ("2024-11-05", False, False, False, Fault.RPC_ERROR),
    ],
)
def test_handshake_revisions(name: str, batch: bool, resumable: bool, priming: bool, fault: Fault) -> None:
    """BAT-01, BAT-02, SHL-07, SHL-09, AMB-02; and what all of them share (SHL-56)."""
    revision = REVISIONS[name]
    assert (revision.batch, revision.http.resumable, revision.http.priming) == (batch, resumable, priming)
    assert revision.invalid_arguments is fault
    assert revision.http.sessions
    assert not revision.http.routing_headers
    assert not revision.http.disconnect_cancels
    assert revision.http.status == {}
    assert (revision.asks, revision.log_gate) == (Asks.SERVER_REQUEST, LogGate.SESSION_LEVEL)
    assert not revision.stamps_results


def test_every_revision_carries_the_applications_methods() -> None:
    """``register_method`` works whatever the client speaks."""
    assert all(revision.open_methods for revision in (*REVISIONS.values(), PLAIN))


def test_the_hot_path_is_not_adapted() -> None:
    """A tool result under the newest revision goes out as it is."""
    assert "tools/call" not in NEWEST.lower


def test_notifications_are_told_as_the_revision_knows_them() -> None:
    """VER-05, PROG-02: the oldest revision has no message in its progress."""
    progress = {"progressToken": 1, "progress": 1, "message": "m"}
    assert HANDSHAKES[0].lowered("notifications/progress", progress) == progress
    assert HANDSHAKES[-1].lowered("notifications/progress", progress) == {"progressToken": 1, "progress": 1}

"""What the client says of itself, by revision."""

from __future__ import annotations

from mcpkit.client.identity import Identity
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, REVISIONS

FULL = Identity(
    {"name": "c", "version": "1", "title": "C", "websiteUrl": "https://c.example"},
    {"roots": {"listChanged": True}, "elicitation": {"form": {}}, "sampling": {}},
)


def test_each_revision_hears_what_it_knows() -> None:
    """SHAPE, CAP: members that a revision lacks fall away, and come back where they are known."""
    assert FULL.capabilities_for(NEWEST)["roots"] == {}
    assert FULL.capabilities_for(NEWEST_HANDSHAKE)["roots"] == {"listChanged": True}
    oldest = list(REVISIONS.values())[-1]
    assert "title" not in FULL.info_for(oldest)
    assert FULL.info_for(NEWEST)["websiteUrl"] == "https://c.example"


def test_nothing_said_is_changed() -> None:
    """Lowering works on copies."""
    for revision in REVISIONS.values():
        FULL.capabilities_for(revision)
        FULL.info_for(revision)
    assert FULL.capabilities["roots"] == {"listChanged": True}
    assert FULL.info["title"] == "C"

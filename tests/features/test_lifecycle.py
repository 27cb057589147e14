"""What a server says of itself when a conversation is opened (INIT-02, DISC-02, PING-01)."""

from __future__ import annotations

import pytest

from mcpkit.features.lifecycle import Lifecycle
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST, SUPPORTED
from tests.exchanges import exchange

INFO = {"name": "unit", "version": "1.2.3", "title": "Unit", "description": "A unit", "websiteUrl": "https://u.example"}


def lifecycle(instructions: str | None = "Be brief.") -> Lifecycle:
    return Lifecycle(INFO, instructions, lambda revision: {"tools": {"listChanged": True}, "completions": {}})


@pytest.mark.parametrize("name", sorted(HANDSHAKE_NAMES))
async def test_initialize_answers_in_the_shape_of_the_negotiated_revision(name: str) -> None:
    """INIT-02, ICON-05, CAP-08."""
    result = await lifecycle().initialize(exchange("initialize", revision=name))
    assert result["protocolVersion"] == name
    assert result["instructions"] == "Be brief."
    assert {"name", "version"} <= set(result["serverInfo"]) <= set(INFO)
    assert result["capabilities"]["tools"] == {"listChanged": True}
    oldest, newest = min(HANDSHAKE_NAMES), max(HANDSHAKE_NAMES)
    assert ("completions" in result["capabilities"]) == (name != oldest)
    assert ("description" in result["serverInfo"]) == (name == newest)


async def test_discover_names_every_version_newest_first() -> None:
    """DISC-02, DISC-04."""
    result = await lifecycle().discover(exchange("server/discover"))
    assert result["supportedVersions"] == list(SUPPORTED)
    assert result["supportedVersions"][0] == NEWEST.name
    assert len(SUPPORTED) == 5
    assert isinstance(result["ttlMs"], int)
    assert result["cacheScope"] == "public"


async def test_without_instructions_there_is_no_member_for_them() -> None:
    assert "instructions" not in await lifecycle(None).discover(exchange("server/discover"))


async def test_ping_is_answered_with_nothing() -> None:
    """PING-01."""
    assert await lifecycle().ping(exchange("ping", revision=max(HANDSHAKE_NAMES))) == {}

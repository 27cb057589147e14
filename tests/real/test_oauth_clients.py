"""The clients of mcp 1.x and 2.x do the whole OAuth flow: Authlib issues, our server checks, nobody pretends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import ROOT, peer
from tests.hostile.test_oauth_flow import CALLBACK, World, _plain_http_on_this_machine, world
from tests.real.conftest import found

__all__ = ["_plain_http_on_this_machine"]  # a fixture


async def flow(given: World, name: str) -> Any:
    given.realm.user = "alice"
    script = ROOT / "tests" / "peers" / "oauth_client.py"
    return await asyncio.to_thread(found, [peer(name), script, given.url, CALLBACK])


@pytest.mark.parametrize("name", ["mcp1", "mcp2"])
async def test_the_official_client_gets_in_and_steps_up(name: str) -> None:
    """RS-02, RS-03, TOK-03, STEP-01: 401, metadata, registration, consent, PKCE, token, and 403 for a scope more."""
    async with world() as given:
        seen = await flow(given, name)
        assert "alice" in seen["who"]
        assert seen["more"] == "written"
        assert len(given.realm.tokens) == 2

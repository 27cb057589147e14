"""A server that is away for long: logged once, tried on and on, unless somebody must do something about it."""

from __future__ import annotations

import logging

import pytest

from mcpkit.client.errors import AuthorizationFailed, ClientError, ServerRefused, Unreachable
from mcpkit.client.limits import Patience, Pauses
from mcpkit.client.outage import Outage
from mcpkit.jsonrpc.errors import MethodNotFound
from tests.client.scripted import soon

SOON = Patience(pauses=Pauses(first=0.0, most=0.0))


async def test_it_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    """However often the server is tried in between."""
    outage = Outage("h", SOON)
    outage.over()
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            assert await soon(outage.waited_out(Unreachable("refused")))
        assert outage.began
        outage.over()
        outage.over()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages == ["h is away, and tried every 0 seconds (refused)", "h is back"]


@pytest.mark.parametrize("error", [AuthorizationFailed("sign in"), ServerRefused(MethodNotFound("x"))])
async def test_what_waiting_does_not_help(error: ClientError, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is asked to sign in again and again, no server for what it does not have."""
    outage = Outage("h", SOON)
    assert not await soon(outage.waited_out(error))
    assert "list again to see them" in caplog.text

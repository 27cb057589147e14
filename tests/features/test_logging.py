"""Who hears which log message, by era (LOG-01 to LOG-06)."""

from __future__ import annotations

import pytest

from mcpkit.features.logging import log, notice, set_level
from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.envelope import LOG_LEVELS
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, PLAIN
from tests.exchanges import Recorder, Remembered, exchange


async def test_a_session_hears_its_level_and_above() -> None:
    """LOG-02."""
    session, channel = Remembered(), Recorder()
    assert (
        await set_level(exchange("logging/setLevel", {"level": "error"}, revision=NEWEST_HANDSHAKE, session=session))
        == {}
    )
    call = exchange("tools/call", revision=NEWEST_HANDSHAKE, session=session, channel=channel)
    for level in LOG_LEVELS:
        await log(call, level, {"at": level}, "unit")
    assert [params["level"] for _, params in channel.said] == ["error", "critical", "alert", "emergency"]
    assert channel.said[0] == ("notifications/message", {"level": "error", "data": {"at": "error"}, "logger": "unit"})


async def test_a_session_that_set_no_level_hears_info_and_above() -> None:
    """LOG-02: the server decides."""
    channel = Recorder()
    call = exchange("tools/call", revision=NEWEST_HANDSHAKE, session=Remembered(), channel=channel)
    await log(call, "debug", "quiet")
    await log(call, "info", "loud")
    assert [params["data"] for _, params in channel.said] == ["loud"]


async def test_an_envelope_hears_only_what_this_request_asked_for() -> None:
    """LOG-03: nothing without a level in the request's own _meta."""
    channel = Recorder()
    await log(exchange("tools/call", revision=NEWEST, channel=channel), "emergency", "x")
    assert channel.said == []
    await log(exchange("tools/call", revision=NEWEST, channel=channel, log_level="warning"), "warning", "x")
    await log(exchange("tools/call", revision=NEWEST, channel=channel, log_level="warning"), "info", "x")
    assert [params["level"] for _, params in channel.said] == ["warning"]


async def test_plain_callers_hear_nothing() -> None:
    channel = Recorder()
    await log(exchange("x", revision=PLAIN, channel=channel), "emergency", "x")
    assert channel.said == []


@pytest.mark.parametrize("level", [None, 3, "loud", "INFO", ["info"]])
async def test_an_unknown_level_is_refused_by_name(level: object) -> None:
    """LOG-02, LOG-04."""
    with pytest.raises(InvalidParams, match="debug, info"):
        await set_level(exchange("logging/setLevel", {"level": level}, revision=NEWEST_HANDSHAKE))
    if isinstance(level, str):
        with pytest.raises(ValueError, match="no log level"):
            await log(exchange("tools/call"), level, "x")


def test_a_notice_says_what_was_true_when_it_was_logged() -> None:
    """LOG-06: it is told later, from the event loop, perhaps by another replica."""
    data = {"left": [1, 2]}
    said = notice("warning", data, "stock")
    data["left"].clear()
    assert said.params == {"level": "warning", "data": {"left": [1, 2]}, "logger": "stock"}
    assert said != notice("warning", data, "stock")


def test_what_nobody_could_be_told_is_refused_at_once() -> None:
    """LOG-01: the one who logs hears of it, not the one who delivers."""
    with pytest.raises(ValueError, match="no log level"):
        notice("loud", "x")
    with pytest.raises(TypeError):
        notice("info", object())

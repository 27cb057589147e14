"""One exchange: what is said about it goes out in its revision's shape, or not at all."""

from __future__ import annotations

import json

import pytest

from mcpkit.protocol.exchange import SILENT, InputRequired, NoBackChannel
from mcpkit.protocol.revisions.registry import NEWEST, REVISIONS
from tests.exchanges import Recorder, exchange

OLDEST = list(REVISIONS.values())[-1]


async def test_notifications_are_lowered() -> None:
    """PROG-02: the oldest revision knows no progress message."""
    params = {"progressToken": 1, "progress": 1, "message": "m"}
    for revision, told in ((NEWEST, params), (OLDEST, {"progressToken": 1, "progress": 1})):
        channel = Recorder()
        call = exchange("tools/call", revision=revision, channel=channel)
        await call.notify("notifications/progress", params)
        assert channel.said == [("notifications/progress", told)]
        assert json.loads(call.encoded("notifications/progress", params))["params"] == told
    assert "message" in params, "lowering must not change what it was given"


async def test_questions_are_lowered() -> None:
    """ELIC-18: one handshake revision has forms without a mode."""
    channel = Recorder(lambda method, params: {"action": "decline"})
    middle = next(r for r in REVISIONS.values() if "elicitation/create" in r.lower and r.name < "2025-11")
    question = {"mode": "form", "message": "m", "requestedSchema": {"type": "object", "properties": {}}}
    answer = await exchange("tools/call", revision=middle, channel=channel).ask("elicitation/create", question)
    assert answer == {"action": "decline"}
    assert "mode" not in channel.asked[0][1]


async def test_silence_drops_what_is_said_and_refuses_questions() -> None:
    await SILENT.notify("notifications/progress", {})
    assert SILENT.offer(b"{}"), "nobody has to wait for it"
    SILENT.close_stream()
    SILENT.hang_up()
    with pytest.raises(NoBackChannel):
        await SILENT.request("elicitation/create", {})


def test_a_handler_cannot_swallow_a_question_by_accident() -> None:
    assert not issubclass(InputRequired, Exception)

"""Messages that belong to no session: plain ones, batches, requests of the newest era."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.protocol.headers import ParamHeader
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST
from tests.transports.asgi_client import leaving_nothing_behind, modern, notification, request
from tests.transports.doors import NO_TOOL, PLAIN_SUM, add, call, house, text

# ── the envelope era ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_two_modern_requests_may_carry_one_id() -> None:
    """SHM-17, RPC-05: every POST stands for itself."""
    home = house()
    first = home.wire.post(*modern("tools/call", {"name": "wait"}, id=7))
    await home.started.wait()
    second = await home.wire.ask(*add(), raw=[])
    home.release.set()
    assert second.status == 200
    assert text((await first.done()).json) == "waited"


async def test_a_modern_notification_is_accepted_and_cancels_nobody() -> None:
    """SHM-15: by bare id one caller could stop another's work."""
    home = house()
    working = home.wire.post(*modern("tools/call", {"name": "wait"}, id=7))
    await home.started.wait()
    version = {"mcp-protocol-version": NEWEST.name}
    answer = await home.wire.ask(notification("notifications/cancelled", {"requestId": 7}), version)
    assert (answer.status, answer.body, answer.headers["content-length"]) == (202, b"", "0")
    home.release.set()
    assert text((await working.done()).json) == "waited"
    assert home.cancelled == 0


async def test_mirrored_arguments_are_compared_once_the_tool_is_known() -> None:
    """XHDR-09, XHDR-13."""
    home = house()
    mirrored = (ParamHeader("A", ("a",), "integer"),)
    home.kernel.param_headers = lambda name: mirrored if name == "add" else ()
    message, headers = add()
    missing = await home.wire.ask(message, headers)
    wrong = await home.wire.ask(message, {**headers, "mcp-param-a": "9"})
    right = await home.wire.ask(message, {**headers, "mcp-param-a": "2"})
    assert [answer.status for answer in (missing, wrong, right)] == [400, 400, 200]
    assert missing.json["error"]["code"] == wrong.json["error"]["code"] == -32020


async def test_listen_is_a_stream_or_nothing() -> None:
    """SHM-14, SUB-04: a caller that takes JSON only would wait for ever."""
    home = house()
    message, headers = modern("subscriptions/listen", {"notifications": {}})
    refused = await home.wire.ask(message, {**headers, "accept": "application/json"})
    assert (refused.status, refused.json["id"]) == (406, 1)
    async with leaving_nothing_behind():
        stream = home.wire.post(message, headers)
        assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
        assert stream.headers["content-type"] == "text/event-stream"
        home.release.set()
        assert (await stream.messages())[-1]["id"] == 1


@pytest.mark.parametrize("accept", [None, "*/*", "text/html", "application/json", "text/event-stream", ""])
async def test_a_plain_call_is_answered_whatever_it_accepts(accept: str | None) -> None:
    answer = await house().wire.ask(PLAIN_SUM, {"accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert text(answer.json) == "5"


async def test_a_plain_call_that_speaks_is_still_answered_as_json() -> None:
    answer = await house().wire.ask(call("count", n=3))
    assert text(answer.json) == "counted"
    assert answer.json.keys() == {"jsonrpc", "id", "result"}


async def test_a_plain_batch_is_answered_in_order_without_its_notifications() -> None:
    """JSON-RPC 2.0 section 6."""
    batch = [PLAIN_SUM, notification("x"), {"jsonrpc": "2.0"}, {**NO_TOOL, "id": "b"}]
    answer = await house().wire.ask(batch)
    assert answer.status == 200
    assert [(entry.get("id"), entry.get("error", {}).get("code")) for entry in answer.json] == [
        (1, None),
        (None, -32600),
        ("b", -32602),
    ]


async def test_a_batch_of_notifications_is_accepted_without_a_body() -> None:
    """BAT-05."""
    answer = await house().wire.ask([notification("x"), notification("y")])
    assert (answer.status, answer.body) == (202, b"")


async def test_hanging_up_closes_a_plain_callers_connection() -> None:
    answer = await house().wire.ask(call("leave"))
    assert answer.headers["connection"] == "close"
    assert text(answer.json) == "bye"


@pytest.mark.parametrize("revision", sorted(HANDSHAKE_NAMES))
async def test_a_handshake_era_call_without_a_session_is_served_under_its_header(revision: str) -> None:
    """SHL-49, SHL-56: nothing modern leaks in."""
    home = house()
    version = {"mcp-protocol-version": revision}
    answer = await home.wire.ask(PLAIN_SUM, version)
    assert text(answer.json) == "5"
    assert home.seen[0].revision.name == revision
    unknown = await home.wire.ask(request("nonsense"), version)
    assert (unknown.status, unknown.json["error"]["code"]) == (200, -32601)


async def test_a_result_that_json_cannot_express_is_an_internal_error() -> None:
    """RPC-14: no detail of ours in the message."""
    home = house()

    async def bad(exchange: Any) -> Any:
        return {"set": {1, 2}}

    home.kernel.register("x/bad", bad)
    answer = await home.wire.ask(request("x/bad"))
    assert (answer.status, answer.json["error"]) == (200, {"code": -32603, "message": "Internal error"})

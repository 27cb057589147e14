"""What a log line says of the request that was being served."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

import pytest

from mcpkit.observe.audit import fingerprint
from mcpkit.observe.logs import JsonLines, remembering
from mcpkit.protocol.exchange import Exchange
from tests.exchanges import Remembered, exchange

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def line(**more: Any) -> dict[str, Any]:
    record = logging.LogRecord("mcpkit.x", logging.WARNING, "f", 1, "hello %s", ("you",), None)
    vars(record).update(more)
    told: dict[str, Any] = json.loads(JsonLines().format(record))
    return told


async def line_in(served: Exchange) -> dict[str, Any]:
    async def call(_: Exchange) -> dict[str, Any]:
        return await asyncio.to_thread(line)  # as a tool's own code is run

    return await remembering(served, call)


def test_a_line_is_an_object() -> None:
    told = line()
    assert (told["level"], told["logger"], told["message"]) == ("warning", "mcpkit.x", "hello you")
    assert set(told) == {"time", "level", "logger", "message"}
    try:
        raise ValueError("inner")
    except ValueError:
        assert "inner" in line(exc_info=sys.exc_info())["error"]


async def test_a_line_names_the_request_that_is_served() -> None:
    """META-05, LOG-05: its id and trace, and a session only by its fingerprint."""
    session = Remembered()
    told = await line_in(exchange("tools/call", {"_meta": {"traceparent": PARENT}}, id="r-7", session=session))
    assert (told["request"], told["method"], told["trace"]) == ("r-7", "tools/call", TRACE)
    assert told["session"] == fingerprint(session.id)
    assert session.id not in json.dumps(told)
    assert "request" not in line()


async def test_a_trace_may_come_with_http() -> None:
    served = exchange("tools/call")
    served.headers = {"traceparent": PARENT}
    assert (await line_in(served))["trace"] == TRACE


@pytest.mark.parametrize("parent", [7, "", "x\n", f"00-{'0' * 32}-b7ad6b7169203331-01", f"{PARENT}\n"])
async def test_what_is_no_trace_is_not_told(parent: Any) -> None:
    """LOG-05: what a caller sends is never copied into the log as it stands."""
    told = await line_in(exchange("tools/call", {"_meta": {"traceparent": parent}}, id=1))
    assert "trace" not in told
    assert (told["request"], "session" in told) == ("1", False)

"""What the server tells unasked."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from mcpkit.client.notices import (
    Change,
    Delivery,
    LogMessage,
    Progress,
    change_of,
    log_message_of,
    progress_of,
)
from mcpkit.jsonrpc.messages import Notification
from tests.client.scripted import soon


async def test_handlers_are_called_in_order() -> None:
    """A slow one holds up those behind it, not the reading."""
    delivery, go = Delivery(10), asyncio.Event()
    order: list[int] = []

    async def slow(value: int) -> None:
        await go.wait()
        order.append(value)

    delivery.put(order.append, 0)
    delivery.put(slow, 1)
    delivery.put(order.append, 2)
    delivery.put(slow, 3)
    assert order == [0], "a plain function is called at once, but only where none waits before it"
    go.set()
    await soon(delivery.drained(5))
    assert order == [0, 1, 2, 3]
    delivery.put(order.append, 4)
    assert order[-1] == 4


async def test_faults_of_handlers_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An application's bug is logged."""
    delivery = Delivery(10)
    heard: list[int] = []

    def bad(_: Any) -> None:
        raise ValueError("mine")

    async def worse(_: Any) -> None:
        raise ValueError("mine too")

    with caplog.at_level(logging.ERROR, "mcpkit.client"):
        delivery.put(bad, 1)
        delivery.put(worse, 2)
        delivery.put(bad, 3)
        delivery.put(heard.append, 4)
        await soon(delivery.drained(5))
    assert heard == [4]
    assert caplog.text.count("a handler failed") == 3


async def test_a_line_too_long_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """PROG-04, AVAIL-04: a server that floods costs a bounded amount of memory."""
    delivery, go = Delivery(2), asyncio.Event()
    heard: list[int] = []

    async def slow(value: int) -> None:
        await go.wait()
        heard.append(value)

    with caplog.at_level(logging.WARNING, "mcpkit.client"):
        for value in range(5):
            delivery.put(slow, value)
    go.set()
    await soon(delivery.drained(5))
    assert heard == [0, 1, 2]
    assert "can't keep up" in caplog.text


async def test_a_handler_does_not_wait_for_itself() -> None:
    """A handler that makes a call of its own, which drains at its end, must not hang."""
    delivery, done = Delivery(10), asyncio.Event()

    async def nested() -> None:
        await delivery.drained(60)
        done.set()

    delivery.put(nested)
    await soon(done.wait())


async def test_stop_calls_nobody_any_more() -> None:
    """After the end nothing is heard."""
    delivery = Delivery(10)
    heard: list[int] = []
    delivery.put(asyncio.Event().wait)
    delivery.put(heard.append, 1)
    await soon(delivery.stop())
    assert heard == []


def test_changes() -> None:
    """What each notification says has changed."""
    assert change_of(Notification("notifications/tools/list_changed", {})) == Change("tools")
    assert change_of(Notification("notifications/resources/updated", {"uri": "a:b"})) == Change("resource", "a:b")
    assert change_of(Notification("notifications/resources/updated", {"uri": 5})) == Change("resource")
    assert change_of(Notification("notifications/tasks", {"taskId": "t"})) == Change("task", task={"taskId": "t"})
    assert change_of(Notification("notifications/message", {})) is None


@pytest.mark.parametrize(
    ("params", "progress"),
    [
        ({"progress": 1, "total": 2, "message": "m"}, Progress(1, 2, "m")),
        ({"progress": 0.5, "total": "x", "message": 5}, Progress(0.5)),
        ({"progress": "x"}, None),
        ({"progress": True}, None),
        ({}, None),
    ],
)
def test_progress(params: dict[str, Any], progress: Progress | None) -> None:
    """PROG-02; a malformed report is none."""
    assert progress_of(params) == progress


def test_log_messages() -> None:
    """LOG-01."""
    assert log_message_of({"level": "error", "data": [1], "logger": "l"}) == LogMessage("error", [1], "l")
    assert log_message_of({"logger": 5}) == LogMessage("info", None)

"""Metrics: the conventions' names, bounded labels, numbers that add up."""

from __future__ import annotations

import asyncio
from typing import Any

from mcpkit.observe.events import Served
from mcpkit.observe.metrics import OTHER, Metrics
from tests.observe.calls import served


def event(**changes: Any) -> Served:
    return served(**({"target": "add", "seconds": 0.015} | changes))


def counted(metrics: Metrics, *events: Served) -> str:
    for one in events:
        metrics.began(one.method)
        metrics.served(one)
    return metrics.render().decode()


def test_calls_are_counted_by_method_tool_error_and_time() -> None:
    """The histogram of the OpenTelemetry conventions, in Prometheus' spelling."""
    shown = counted(Metrics(), event(), event(seconds=0.5), event(error="tool_error", seconds=400))
    name, tool = "mcp_server_operation_duration_seconds", 'error_type="",gen_ai_tool_name="add"'
    rest = 'mcp_method_name="tools/call",mcp_protocol_version="",network_transport="tcp"'
    assert f'{name}_bucket{{{tool},le="0.02",{rest}}} 1.0' in shown
    assert f'{name}_bucket{{{tool},le="0.5",{rest}}} 2.0' in shown
    assert f"{name}_count{{{tool},{rest}}} 2.0" in shown
    assert 'error_type="tool_error"' in shown


def test_callers_cannot_invent_labels() -> None:
    """Bounded cardinality: unknown tools and methods are one label."""
    metrics = Metrics(knows_tool=lambda name: name == "add", knows_method=lambda name: name == "tools/call")
    shown = counted(
        metrics,
        event(),
        *(event(target=f"invented {n}", error="-32602") for n in range(50)),
        *(event(method=f"invented/{n}", error="-32601") for n in range(50)),
    )
    assert "invented" not in shown
    assert shown.count(f'gen_ai_tool_name="{OTHER}"') > 0
    assert len(metrics.values()) == 3


def test_running_calls_are_shown_while_they_run() -> None:
    metrics = Metrics()
    metrics.began("tools/call")
    metrics.began("tools/list")
    assert "mcp_server_active_calls 1.0" in metrics.render().decode()
    metrics.served(event())
    metrics.served(event(method="tools/list", target=None))
    assert "mcp_server_active_calls 0.0" in metrics.render().decode()


async def test_tasks_are_counted_where_there_is_a_loop() -> None:
    waiting = asyncio.create_task(asyncio.Event().wait())
    shown = Metrics().render().decode()
    waiting.cancel()
    assert "mcp_server_tasks 2.0" in shown


def test_gauges_are_read_when_they_are_shown() -> None:
    metrics, open_streams = Metrics(version="1.2.3"), [3]
    metrics.gauge("mcp_server_streams", "Open streams.", lambda: open_streams[0])
    assert "mcp_server_streams 3.0" in metrics.render().decode()
    open_streams[0] = 4
    shown = metrics.render().decode()
    assert "mcp_server_streams 4.0" in shown
    assert 'version="1.2.3"' in shown


def test_sessions_have_a_histogram_of_their_own() -> None:
    metrics = Metrics()
    metrics.session_ended(12.0)
    assert 'mcp_server_session_duration_seconds_bucket{le="30.0"} 1.0' in metrics.render().decode()

"""Metrics of one process, counted in plain numbers and shown in Prometheus' format when somebody asks.

Names and buckets are those of the OpenTelemetry conventions for MCP in their Prometheus spelling. Counting a request
is two dictionary look-ups; prometheus-client only meets the numbers when they are scraped. What must never stand
here: argument values, URIs, session ids, a label that a caller can invent.
"""

from __future__ import annotations

import asyncio
import platform
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from mcpkit.observe.events import TOOL_CALL, Served

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds in seconds (OpenTelemetry semantic conventions, MCP)."""
OTHER: Final = "_OTHER"
"""Stands for every name that this server doesn't offer, so that callers can't invent labels."""
LABELS: Final = ("mcp_method_name", "gen_ai_tool_name", "error_type", "network_transport", "mcp_protocol_version")
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Key: TypeAlias = tuple[str, str, str, str]
Read: TypeAlias = Callable[[], float]


@dataclass(slots=True)
class _Times:
    """A histogram: how many fell into each bucket, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulated(self) -> list[tuple[str, float]]:
        reached, shown = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            reached += count
            shown.append((bound, float(reached)))
        return shown


class Metrics:
    """An observer that counts. Gauges are functions, read at scrape time."""

    __slots__ = ("_active", "_gauges", "_info", "_knows", "_methods", "_sessions", "_times", "_transport")

    def __init__(
        self,
        *,
        knows_method: Callable[[str], bool] = lambda name: True,
        knows_tool: Callable[[str], bool] = lambda name: True,
        transport: str = "tcp",
        version: str = "",
    ) -> None:
        self._methods = knows_method
        self._knows = knows_tool
        self._transport = transport
        self._info = {"version": version, "python": platform.python_version()}
        self._times: dict[_Key, _Times] = {}
        self._sessions = _Times()
        self._active = 0
        self._gauges: dict[str, tuple[str, Read]] = {}

    def gauge(self, name: str, help: str, read: Read) -> None:
        """Show what ``read`` returns at each scrape, under ``name``."""
        self._gauges[name] = (help, read)

    def began(self, method: str) -> None:
        """A request has reached its handler."""
        self._active += method == TOOL_CALL

    def served(self, event: Served) -> None:
        """The request has been answered, or failed, or was cancelled."""
        key, known = event.labels, self._times
        if key[0] == TOOL_CALL:
            self._active -= 1
        times = known[key] if key in known else known.setdefault(self._bounded(key), _Times())
        times.add(event.seconds)

    def session_ended(self, seconds: float) -> None:
        """A handshake session has ended after that time."""
        self._sessions.add(seconds)

    @property
    def active_calls(self) -> int:
        """Tool calls that run now."""
        return self._active

    def _bounded(self, key: _Key) -> _Key:
        method, tool, error, revision = key
        method = method if self._methods(method) else OTHER
        tool = tool if not tool or self._knows(tool) else OTHER
        return (method, tool, error, revision)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format."""
        from prometheus_client import (  # noqa: PLC0415  # only a scrape needs it
            CollectorRegistry,
            ProcessCollector,
            generate_latest,
        )

        registry = CollectorRegistry()
        registry.register(_Collected(self))
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def values(self) -> Mapping[_Key, _Times]:
        """The histograms by method, tool, error and revision."""
        return self._times


class _Collected:
    """The numbers as prometheus-client wants them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import (  # noqa: PLC0415  # as above
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        metrics = self._metrics
        operations = HistogramMetricFamily(
            "mcp_server_operation_duration_seconds", "Time from a request's start to its answer.", labels=LABELS
        )
        for (method, tool, error, revision), times in list(metrics.values().items()):
            labels = [method, tool, error, metrics._transport, revision]
            operations.add_metric(labels, buckets=times.cumulated(), sum_value=times.total)
        yield operations
        sessions = HistogramMetricFamily(
            "mcp_server_session_duration_seconds", "Life of handshake sessions.", labels=()
        )
        sessions.add_metric([], buckets=metrics._sessions.cumulated(), sum_value=metrics._sessions.total)
        yield sessions
        yield InfoMetricFamily("mcp_server_build", "What runs here.", value=metrics._info)
        yield GaugeMetricFamily("mcp_server_active_calls", "Tool calls that run now.", value=metrics.active_calls)
        yield GaugeMetricFamily("mcp_server_tasks", "Tasks of the event loop that is asked.", value=_tasks())
        for name, (help, read) in metrics._gauges.items():
            yield GaugeMetricFamily(name, help, value=read())


def _tasks() -> int:
    """How many tasks there are: a number that grows and grows is a leak."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # asked from outside the event loop
        return 0

"""Traces and metrics by the OpenTelemetry conventions, in memory and over the wire to a real receiver process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from mcpkit import Server, ToolError
from mcpkit.extensions.telemetry import OTHER, Telemetry
from mcpkit.jsonrpc.errors import RpcError
from tests.exchanges import Remembered, exchange
from tests.house.tree import ROOT

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLED = {"name": "add", "arguments": {"a": 1, "b": 2}}


class Watched:
    """A server whose spans and metrics can be read."""

    def __init__(self) -> None:
        self.spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracing = TracerProvider()
        self.tracing.add_span_processor(SimpleSpanProcessor(self.spans))
        self.server = Server("watched")
        self.server.add_tool(add)
        self.server.add_tool(fail)
        self.server.add_resource("secret://place", lambda: "text")
        meters = MeterProvider([self._reader])
        self.server.install(Telemetry(tracer_provider=self.tracing, meter_provider=meters))

    async def call(self, method: str = "tools/call", params: Any = None, **options: Any) -> ReadableSpan:
        with contextlib.suppress(RpcError):
            await self.server.kernel.serve(exchange(method, CALLED if params is None else params, **options))
        return self.spans.get_finished_spans()[-1]

    def durations(self) -> list[dict[str, Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        [metric] = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
        assert (metric.name, metric.unit) == ("mcp.server.operation.duration", "s")
        return [dict(point.attributes or {}) for point in metric.data.data_points]


def add(a: int, b: int) -> int:
    return a + b


def fail() -> str:
    raise ToolError("no")


async def test_a_call_is_a_span_under_the_callers_own() -> None:
    """SEP-414: ``traceparent`` in ``_meta`` is the parent."""
    meta = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "x=y"}
    span = await Watched().call(params={**CALLED, "_meta": meta}, id="r1", session=Remembered())
    assert (span.name, span.kind, span.status.status_code) == ("tools/call add", SpanKind.SERVER, StatusCode.UNSET)
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == PARENT
    assert dict(span.attributes or {}) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "network.transport": "tcp",
        "gen_ai.tool.name": "add",
        "gen_ai.operation.name": "execute_tool",
        "jsonrpc.request.id": "r1",
        "mcp.session.id": "session-1",
    }


@pytest.mark.parametrize("meta", [{}, {"traceparent": 3}, {"traceparent": "rubbish"}])
async def test_a_senseless_parent_is_no_parent(meta: Any) -> None:
    assert (await Watched().call(params={**CALLED, "_meta": meta})).parent is None


async def test_the_http_span_is_linked_and_not_the_parent() -> None:
    watched = Watched()
    with watched.tracing.get_tracer("http").start_as_current_span("POST /api") as outer:
        await watched.call()
    span = next(span for span in watched.spans.get_finished_spans() if span.name == "tools/call add")
    assert span.parent is None
    assert [link.context.span_id for link in span.links] == [outer.get_span_context().span_id]


async def test_failures_say_what_kind_and_never_what_value() -> None:
    watched = Watched()
    tool = await watched.call(params={"name": "fail"})
    assert (tool.status.status_code, (tool.attributes or {})["error.type"]) == (StatusCode.ERROR, "tool_error")
    unknown = await watched.call(params={"name": "invented-by-a-caller"})
    assert (unknown.name, (unknown.attributes or {})["rpc.response.status_code"]) == (f"tools/call {OTHER}", "-32602")
    method = await watched.call("invented/method", {})
    assert (method.name, (method.attributes or {})["error.type"]) == (OTHER, "-32601")
    resource = await watched.call("resources/read", {"uri": "secret://place"})
    assert resource.name == "resources/read", "a URI never stands in a span's name"
    durations = watched.durations()
    assert not any("uri" in key or "id" in key.split(".") for point in durations for key in point)
    assert {point.get("error.type") for point in durations} == {None, "tool_error", "-32602", "-32601"}


RECEIVER = """
import http.server, json, sys
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        got = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        names = [span.name for r in got.resource_spans for s in r.scope_spans for span in s.spans]
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
        print(json.dumps([self.path, names]), flush=True)
    def log_message(self, *args): pass

server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.handle_request()
"""


def test_a_real_receiver_gets_the_spans() -> None:
    """OTLP over HTTP, to another process."""
    receiver = subprocess.Popen(
        [sys.executable, "-c", RECEIVER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert receiver.stdout is not None
        port = receiver.stdout.readline().strip()
        watched = Watched()
        exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{port}/v1/traces", timeout=10)
        watched.tracing.add_span_processor(SimpleSpanProcessor(exporter))
        asyncio.run(watched.call())
        path, names = said(receiver.stdout.readline())
        assert (path, names) == ("/v1/traces", ["tools/call add"])
    finally:
        receiver.kill()
        receiver.communicate()


def said(line: str) -> Sequence[Any]:
    answer: list[Any] = json.loads(line)
    return answer

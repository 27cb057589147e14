"""What an operator gets who only names the extension: spans and durations at a collector, a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from mcpkit.extensions import telemetry_export
from mcpkit.extensions.telemetry import Telemetry
from mcpkit.extensions.telemetry_export import Exported, exporting
from tests.fixtures.started import environment, started
from tests.house.tree import ROOT

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
COLLECTOR = """
import http.server, json
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

def name(resource):
    return next(a.value.string_value for a in resource.attributes if a.key == "service.name")

class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            got = ExportTraceServiceRequest.FromString(body).resource_spans
            lines = [[name(r.resource), x.name, x.trace_id.hex(), x.parent_span_id.hex()]
                     for r in got for s in r.scope_spans for x in s.spans]
        else:
            got = ExportMetricsServiceRequest.FromString(body).resource_metrics
            lines = [[name(r.resource), x.name] for r in got for s in r.scope_metrics for x in s.metrics]
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
        for line in lines:
            print(json.dumps(line), flush=True)
    def log_message(self, *args): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_server_sends_what_it_serves_to_a_collector(tmp_path: Path) -> None:
    """SEP-414: the caller's ``traceparent`` in ``_meta`` is the parent, all the way to the collector."""
    pipe = subprocess.PIPE
    collector = subprocess.Popen([sys.executable, "-c", COLLECTOR], cwd=ROOT, stdout=pipe, text=True)
    try:
        assert collector.stdout is not None
        endpoint = f"http://127.0.0.1:{collector.stdout.readline().strip()}"
        env = environment(MCP_EXTENSIONS="telemetry", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        with started("tests/fixtures/probe_server.py", "--port", "0", cwd=tmp_path, env=env) as program:
            meta = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            program.ask("tools/call", name="echo", arguments={"text": "hi"}, _meta=meta)
            assert program.end() == 0
            assert "Traceback" not in "".join(program.said)
        seen: list[Any] = []
        while len({len(line) for line in seen}) < 2:  # what was waiting at the end was sent before it
            seen.append(json.loads(collector.stdout.readline()))
        assert ["mcp-server", "tools/call echo", TRACE, PARENT] in seen
        assert ["mcp-server", "mcp.server.operation.duration"] in seen
    finally:
        collector.kill()
        collector.communicate()


def test_a_program_that_has_set_up_providers_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry_export.trace, "get_tracer_provider", trace.ProxyTracerProvider)
    assert type(exporting()) is Exported
    monkeypatch.setattr(telemetry_export.trace, "get_tracer_provider", TracerProvider)
    assert type(exporting()) is Telemetry

"""Telemetry that is sent: what ``MCP_EXTENSIONS=telemetry`` installs, by OTLP over HTTP. Needs ``mcpkit[otel]``.

Where to, how often and under which name is said by OpenTelemetry's own variables (``OTEL_EXPORTER_OTLP_ENDPOINT``,
``OTEL_SERVICE_NAME``, ``OTEL_TRACES_SAMPLER``, …), which its SDK reads. What must never stand here: what is measured.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from mcpkit.extensions.telemetry import Telemetry
from mcpkit.server import Server

PARTING_SECONDS: Final = 3.0
"""What the last spans may take on their way out."""
UNNAMED: Final = "unknown_service"


def exporting() -> Telemetry:
    """Telemetry by the providers that the program has set up, or else by ones that send to a collector."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return Exported()
    return Telemetry()


class Exported(Telemetry):
    """Spans and durations on their way to a collector, from the start of the server to its end."""

    def install(self, server: Server) -> None:
        """Set the providers up, under the server's name where the environment gives none, and wrap every request."""
        resource = Resource.create({SERVICE_VERSION: server.version})
        if str(resource.attributes[SERVICE_NAME]).startswith(UNNAMED):
            resource = resource.merge(Resource({SERVICE_NAME: server.name}))
        tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        metering = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        trace.set_tracer_provider(tracing)
        metrics.set_meter_provider(metering)

        async def part() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(PARTING_SECONDS):
                    await asyncio.to_thread(tracing.shutdown)
                    await asyncio.to_thread(metering.shutdown)

        server.on_close(part)
        super().install(server)

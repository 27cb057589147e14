"""Traces and metrics by OpenTelemetry, with the names of its conventions for MCP. Exporting needs ``mcpkit[otel]``.

A hook around every request: the parent is the caller's ``traceparent`` in ``params._meta``, the HTTP span is linked.
What must never stand here: an exporter, argument values, a resource's URI in a span's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import JsonObject, Result
from mcpkit.kernel import Handler
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.server import Server

BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
TARGETS: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
OTHER: Final = "_OTHER"
_CARRIED: Final = ("traceparent", "tracestate", "baggage")


class Telemetry:
    """``server.install(Telemetry())``: a span and a duration for every request, by the global or given providers."""

    identifier = "io.opentelemetry/telemetry"

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        transport: str = "tcp",
    ) -> None:
        """``transport`` is ``tcp`` over HTTP and ``pipe`` over stdio."""
        self._tracer = trace.get_tracer("mcpkit", tracer_provider=tracer_provider)
        meter = metrics.get_meter("mcpkit", meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "mcp.server.operation.duration",
            unit="s",
            description="Time from a request's start to its answer.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._propagator = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
        self._transport = transport
        self._server: Server | None = None

    def settings(self, revision: Revision) -> JsonObject | None:
        """Nothing is advertised: this is between the server and its operators."""
        return None

    def install(self, server: Server) -> None:
        """Wrap every request."""
        self._server = server
        server.use(self.observe)

    async def observe(self, exchange: Exchange, call: Handler) -> Result:
        """Serve one request inside its span."""
        name, shared = self._described(exchange)
        began, error = perf_counter(), None
        outer = trace.get_current_span().get_span_context()
        links = [Link(outer)] if outer.is_valid else []
        with self._tracer.start_as_current_span(
            name,
            context=self._parent(exchange),
            kind=SpanKind.SERVER,
            attributes={**shared, **_identity(exchange)},
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                result = await call(exchange)
                error = _tool_error(result)
                return result
            except RpcError as failure:
                error = str(failure.code)
                span.set_attribute("rpc.response.status_code", error)
                span.set_status(Status(StatusCode.ERROR, failure.message))
                raise
            except BaseException as failure:
                error = type(failure).__name__
                raise
            finally:
                _ended(span, error)
                attributes = {**shared, "error.type": error} if error else shared
                self._duration.record(perf_counter() - began, attributes)

    def _parent(self, exchange: Exchange) -> Context:
        """What the caller's ``_meta`` says of its trace (SEP-414); never the HTTP request's own."""
        meta = exchange.params.get("_meta")
        carrier = meta if isinstance(meta, dict) else {}
        texts = {key: carrier[key] for key in _CARRIED if isinstance(carrier.get(key), str)}
        return self._propagator.extract(texts, context=Context())

    def _described(self, exchange: Exchange) -> tuple[str, dict[str, str]]:
        """The span's name and the attributes that a metric may carry as well."""
        method = exchange.method if self._offered(exchange) else OTHER
        attributes = {
            "mcp.method.name": method,
            "network.transport": self._transport,
            "mcp.protocol.version": exchange.revision.name,
        }
        key = TARGETS.get(method)
        if key is None:
            return method, attributes
        target = self._target(exchange)
        attributes[key] = target
        if method == "tools/call":
            attributes["gen_ai.operation.name"] = "execute_tool"
        return f"{method} {target}", attributes

    def _offered(self, exchange: Exchange) -> bool:
        return self._server is not None and self._server.kernel.offers(exchange.method, exchange.revision)

    def _target(self, exchange: Exchange) -> str:
        """The tool's or prompt's name, if there is one of that name: callers can't invent names."""
        name = exchange.params.get("name")
        if not isinstance(name, str) or self._server is None:
            return OTHER
        found = self._server.tools if exchange.method == "tools/call" else self._server.prompts
        return name if found.find(name) is not None else OTHER


def _identity(exchange: Exchange) -> Mapping[str, str]:
    """What only a span may carry: ids are too many for a metric."""
    attributes = {"jsonrpc.request.id": str(exchange.id)}
    if exchange.session is not None:
        attributes["mcp.session.id"] = exchange.session.id
    uri = exchange.params.get("uri")
    if isinstance(uri, str):
        attributes["mcp.resource.uri"] = uri
    return attributes


def _tool_error(result: Any) -> str | None:
    return "tool_error" if isinstance(result, dict) and result.get("isError") is True else None


def _ended(span: Span, error: str | None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        if error == "tool_error":
            span.set_status(Status(StatusCode.ERROR))

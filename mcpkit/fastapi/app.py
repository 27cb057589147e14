"""A server as a FastAPI application of its own, its MCP URLs served past routing.

What must never stand here: a rule of the protocol; sockets and signals (run.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI

from mcpkit.fastapi.lifespan import drain, prepare
from mcpkit.fastapi.pages import MCP_PATH, SSE_PATH, Describe, Info, describe_server, healthy, lost, readiness
from mcpkit.fastapi.router import Door, handing_over, router_of
from mcpkit.observe.audit import Audit, wanted
from mcpkit.observe.metrics import Metrics, Read
from mcpkit.server import Server
from mcpkit.sessions.choice import buckets_for, keys_for, store_for
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings
from mcpkit.transports.access import authentication_of
from mcpkit.transports.asgi import Direct, Receive, Scope, Send, route_path
from mcpkit.transports.discovery import Discovery
from mcpkit.transports.gate import Authenticate, Gate
from mcpkit.transports.operations import Fence, MetricsPage, ResourceMetadata, host_checked
from mcpkit.transports.streamable_http import McpEndpoint

HEALTH: Final = ("/healthz", "/readyz")
"""Open to everybody, whatever Host they name: orchestrators ask by address."""


class McpApp(FastAPI):
    """A FastAPI application that hands requests to the MCP URLs straight to the endpoint, past routing.

    Everything else is FastAPI as usual: add routes, routers, middleware. Middleware, and dependencies of the whole
    application, are obeyed on the MCP URLs too: then these go through FastAPI like any route, at its usual cost.
    """

    def __init__(
        self, server: Server, endpoint: McpEndpoint, doors: dict[str, Door], fence: Fence, **options: Any
    ) -> None:
        self.mcp_server = server
        self.mcp_endpoint = endpoint
        self._doors = doors
        self._fence = fence
        self.authenticated = fence.authenticated
        """Whether callers have to say who they are."""
        super().__init__(**options)

    def direct_door(self, scope: Scope) -> Direct | None:
        """What serves requests to this target without ASGI in between; None where anything stands before it.

        Middleware that stands, stands from the start: Starlette takes no more once a request has come.
        """
        door = self._door(scope) if type(self).__call__ is McpApp.__call__ else None
        return door.direct if isinstance(door, McpEndpoint) else None

    def _door(self, scope: Scope) -> Door | None:
        if self.user_middleware or self.router.dependencies:
            return None
        if self.root_path:
            scope["root_path"] = self.root_path
        return self._doors.get(route_path(scope))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            door = self._door(scope)
            if door is not None:
                await door(scope, receive, send)
                return
        if scope["type"] == "http" and not await self._fence(scope, receive, send, route_path(scope)):
            return
        await super().__call__(scope, receive, send)

    def retire(self) -> None:
        """Ask for no more requests: readiness fails, and everything is served as before."""
        self.mcp_endpoint.retiring = True

    def drain(self) -> None:
        """Let every stream end gracefully and open no new ones; calls in flight go on."""
        drain(self.mcp_server, self.mcp_endpoint)


def create_app(
    server: Server,
    settings: Settings | None = None,
    *,
    authenticate: Authenticate | None = None,
    store: SessionStore | None = None,
    describe: Describe | None = None,
    **options: Any,
) -> McpApp:
    """An application that serves ``server`` at ``/api`` and ``/sse``, with ``/``, ``/healthz`` and ``/readyz``.

    Without ``settings`` the environment and .env are read; ``Settings()`` means the defaults.
    ``authenticate`` maps header fields to the principal, and then nothing but health and public documents is open;
    by default the settings say it. ``describe`` maps the URL of this application to what ``/``
    says of it; ``options`` are FastAPI's. Raises: ValueError when an allowed host or origin can't be read;
    SettingsError when the settings of authentication don't make a whole.
    """
    settings = settings or Settings.load()
    replica = prepare(server, settings, store)
    authenticate = authenticate or authentication_of(settings, keys_for(settings, replica))
    gate = Gate(settings, authenticate, buckets_for(settings, replica))
    endpoint = McpEndpoint(server.kernel, store or store_for(settings, replica), gate, settings, MCP_PATH)
    info = Info(gate, describe or (lambda url: describe_server(server, url)))
    metrics = _observed(server, settings, endpoint)
    doors: dict[str, Door] = {
        "/": info,
        "/metrics": MetricsPage(metrics, gate, settings.metrics_token, authenticated=bool(authenticate)),
    }
    resource = getattr(authenticate, "resource", None)
    if resource is not None:
        doors.update(dict.fromkeys(resource.paths, ResourceMetadata(resource)))
    for path, door in ((MCP_PATH, endpoint), (SSE_PATH, endpoint.sse)):
        doors[path] = doors[f"{path}/"] = door
    discovery = Discovery(server.info, MCP_PATH)
    for path, document in zip(discovery.paths, (discovery.card, discovery.catalogue), strict=True):
        doors[path] = host_checked(gate, document)
    fence = Fence(gate, {*doors, *HEALTH}, authenticated=bool(authenticate))
    given = {"title": server.name, "version": server.version, "docs_url": None, "redoc_url": None}
    app = McpApp(server, endpoint, doors, fence, **{"redirect_slashes": False, **given, **options})
    app.add_exception_handler(404, lost)
    app.include_router(router_of(server, endpoint, None, replica))
    for path in set(doors) - {MCP_PATH, SSE_PATH, f"{MCP_PATH}/", f"{SSE_PATH}/"}:
        app.add_api_route(path, handing_over(doors[path], None), include_in_schema=False)
    for path, health in zip(HEALTH, (healthy, readiness(endpoint)), strict=True):
        app.add_api_route(path, health, include_in_schema=False)
    return app


def _gauges(server: Server, settings: Settings, endpoint: McpEndpoint) -> Iterator[tuple[str, str, Read]]:
    """What is asked anew at each scrape: name, help, and the question."""
    store, many = endpoint.store, " Over Redis: of all replicas, so don't add them up." if settings.redis_url else ""
    yield "mcp_server_sessions", f"Handshake sessions that are open.{many}", lambda: store.count
    yield "mcp_server_sessions_limit", f"How many there may be.{many}", lambda: settings.max_sessions
    yield "mcp_server_streams", "Event streams that are open here.", lambda: endpoint.streams
    yield "mcp_server_streams_limit", "How many there may be here.", lambda: settings.max_streams
    yield "mcp_server_active_calls_limit", "How many tool calls may run here.", lambda: server.tools.most_calls
    yield "mcp_server_event_store_bytes", f"Messages kept for clients that come back.{many}", lambda: store.stored
    if settings.redis_url is not None:
        yield "mcp_server_redis_up", "Whether Redis can be reached.", lambda: not store.away


def _observed(server: Server, settings: Settings, endpoint: McpEndpoint) -> Metrics:
    """Count what is served; write the audit trail where somebody reads it."""
    metrics = Metrics(
        knows_method=server.kernel.knows,
        knows_tool=lambda name: server.tools.get(name) is not None,
        version=server.version,
    )
    endpoint.store.lived = metrics.session_ended
    for name, help, read in _gauges(server, settings, endpoint):
        metrics.gauge(name, help, read)
    server.observe(metrics)
    if wanted(settings.log_level):
        server.observe(Audit())
    return metrics

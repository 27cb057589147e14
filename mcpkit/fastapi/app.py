"""A server as a FastAPI application of its own, its MCP URLs served past routing.

What must never stand here: a rule of the protocol; sockets and signals (run.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from inspect import signature
from typing import Any, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import compile_path

from mcpkit.fastapi.clash import check_open_paths, check_routes, share_origins
from mcpkit.fastapi.lifespan import check_inputs, drain, prepare
from mcpkit.fastapi.pages import MCP_PATH, SSE_PATH, Describe, Door, Info, describe_server, healthy, lost, readiness
from mcpkit.fastapi.router import endpoints_of, handing_over, router_of
from mcpkit.fastapi.startup import Startup, begun
from mcpkit.features.suggestions import did_you_mean
from mcpkit.observe.audit import Audit, wanted
from mcpkit.observe.metrics import Metrics, Read
from mcpkit.server import Server
from mcpkit.sessions.choice import buckets_for, keys_for, store_for
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings
from mcpkit.transports.access import authentication_of, check_one_authentication
from mcpkit.transports.asgi import Direct, Receive, Scope, Send, route_path
from mcpkit.transports.discovery import Discovery
from mcpkit.transports.gate import Authenticate, Gate
from mcpkit.transports.operations import Fence, MetricsPage, ResourceMetadata, host_checked
from mcpkit.transports.streamable_http import McpEndpoint

HEALTH: Final = ("/healthz", "/readyz")
"""Open to everybody, whatever Host they name: orchestrators ask by address."""
READ: Final = ("GET", "HEAD", "OPTIONS")
CALLED: Final = ("GET", "POST", "DELETE", "OPTIONS")
EVERY: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


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
        self._own_lifespan = any(options.get(name) for name in ("lifespan", "on_startup", "on_shutdown"))
        self.startup = Startup(server.name, self._enter_lifespan, lambda: server.idle or self._own_lifespan)
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
        if self.user_middleware or self.router.dependencies or self.max_body_size is not None:
            return None
        if self.root_path:
            scope["root_path"] = self.root_path
        return self._doors.get(route_path(scope))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "http":
            door = self._door(scope)
            if door is not None:
                if self.startup.running or await self._begun(scope, receive, send):
                    await door(scope, receive, send)
                return
        if kind != "lifespan" and not await self._let_in(scope, receive, send):
            return
        await super().__call__(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> bool:
        if self.root_path:
            scope["root_path"] = self.root_path
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        path = route_path(scope)
        if not await self._fence(scope, receive, send, path):
            return False
        return bool(self.startup.running) or path in HEALTH or await self._begun(scope, receive, send)

    async def _begun(self, scope: Scope, receive: Receive, send: Send) -> bool:
        scope["app"] = self
        return await begun(self.startup, scope, receive, send)

    def _enter_lifespan(self, app: Any) -> Any:
        return self.router.lifespan_context(self)

    def build_middleware_stack(self) -> Any:
        """Build it as ever; a middleware that answers preflights does so for all paths, and its origins may call."""
        classes: list[Any] = [each.cls for each in self.user_middleware]
        self._fence.answers_preflights = CORSMiddleware not in classes
        share_origins(self, self._fence.gate)
        return super().build_middleware_stack()

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
    open_paths: Collection[str] = (),
    **options: Any,
) -> McpApp:
    """An application that serves ``server`` at ``/api`` and ``/sse``, with ``/``, ``/healthz`` and ``/readyz``.

    Without ``settings`` the environment and .env are read; ``Settings()`` means the defaults.
    ``authenticate`` maps header fields to the principal, and then nothing but health and public documents is open;
    by default the settings say it. ``open_paths`` are paths of your own routes that need no credentials and take any
    Origin, such as ``{"/webhook"}`` or ``{"/hooks/{name}"}``. ``describe`` maps the URL of this application to what
    ``/`` says of it; ``options`` are FastAPI's. Raises: ValueError when an allowed host or origin can't be read, and
    when both ``authenticate`` and the settings say who calls; SettingsError when the settings of authentication don't
    make a whole; TypeError for an option that FastAPI doesn't have.
    """
    _check_options(options)
    settings = check_inputs("create_app", server, settings)
    check_one_authentication("create_app(authenticate=…)", authenticate, settings)
    is_open = _open_paths(open_paths)
    replica = prepare(server, settings, store)
    authenticate = authenticate or authentication_of(settings, keys_for(settings, replica))
    gate = Gate(settings, authenticate, buckets_for(settings, replica))
    endpoint = McpEndpoint(server.kernel, store or store_for(settings, replica), gate, settings, MCP_PATH)
    info = Info(gate, describe or (lambda url: describe_server(server, url)))
    metrics = _observed(server, settings, endpoint)
    pages: dict[str, Door] = {
        "/": info,
        "/metrics": MetricsPage(metrics, gate, settings.metrics_token, authenticated=bool(authenticate)),
    }
    resource = getattr(authenticate, "resource", None)
    if resource is not None:
        pages.update(dict.fromkeys(resource.paths, ResourceMetadata(resource)))
    discovery = Discovery(server.info, MCP_PATH)
    for path, document in zip(discovery.paths, (discovery.card, discovery.catalogue), strict=True):
        pages[path] = host_checked(gate, document)
    doors = dict(pages)
    for path, door in ((MCP_PATH, endpoint), (SSE_PATH, endpoint.sse)):
        doors[path] = doors[f"{path}/"] = door
    exempt = {path: READ if path in pages else CALLED for path in doors} | dict.fromkeys(HEALTH, ("GET", "HEAD"))
    fence = Fence(gate, exempt, authenticated=bool(authenticate), is_open=is_open)
    given = {"title": server.name, "version": server.version, "docs_url": None, "redoc_url": None}
    app = McpApp(server, endpoint, doors, fence, **{"redirect_slashes": False, **given, **options})
    app.router.default = lost(app.router.default)

    def check(_: Any) -> None:
        check_routes(app, own, dict.fromkeys(doors, EVERY))
        check_open_paths(app, open_paths)

    router = router_of(server, endpoint, None, replica, app.startup, check)
    app.include_router(router)
    own = endpoints_of(router)
    for path, page in pages.items():
        serve = handing_over(page, None)
        own.add(serve)
        app.add_api_route(path, serve, methods=list(READ), include_in_schema=False)
    for path, health in zip(HEALTH, (healthy, readiness(endpoint)), strict=True):
        own.add(health)
        app.add_api_route(
            path, health, methods=["GET", "HEAD"], include_in_schema=False
        )  # load balancers probe with HEAD
    return app


def _check_options(options: Mapping[str, Any]) -> None:
    """Refuse what neither this function nor FastAPI knows. Raises: TypeError."""
    known = [*signature(create_app).parameters, *signature(FastAPI).parameters]
    known = [name for name in known if name not in {"server", "options"}]
    for name in options:
        if name not in known:
            raise TypeError(f"create_app knows no option {name!r}{did_you_mean(name, known)}")


def _open_paths(paths: Collection[str]) -> Callable[[str], bool]:
    """Whether a path is one of these; they may have variables, as routes do.

    Raises: TypeError, ValueError.
    """
    if isinstance(paths, str | bytes) or not all(isinstance(path, str) for path in paths):
        raise TypeError('open_paths are the paths of routes, as {"/webhook"}')
    for path in paths:
        if not path.startswith("/") or path in {"/", MCP_PATH, SSE_PATH}:
            raise ValueError(f"open_paths are paths of routes of your own, as '/webhook', not {path!r}")
    fixed = frozenset(path for path in paths if "{" not in path)
    patterns = [compile_path(path)[0] for path in paths if "{" in path]
    return lambda path: path in fixed or any(pattern.match(path) for pattern in patterns)


def _gauges(server: Server, settings: Settings, endpoint: McpEndpoint) -> Iterator[tuple[str, str, Read]]:
    """What is asked anew at each scrape: name, help, and the question."""
    store, many = endpoint.store, " Over Redis: of all replicas, so don't add them up." if settings.redis_url else ""
    yield "mcp_server_sessions", f"Handshake sessions that are open.{many}", lambda: store.count
    yield "mcp_server_sessions_limit", f"How many there may be.{many}", lambda: settings.max_sessions
    yield "mcp_server_streams", "Event streams that are open here.", lambda: endpoint.streams
    yield "mcp_server_streams_limit", "How many there may be here.", lambda: settings.max_streams
    yield "mcp_server_active_calls_limit", "How many calls may run here.", lambda: server.calls.bound.most
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

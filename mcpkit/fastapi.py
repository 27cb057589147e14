"""A server as FastAPI sees it: an application of its own, or a router in yours. The only file that imports FastAPI.

What must never stand here: a rule of the protocol; sockets and signals (run.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.params import Depends as Dependency
from sse_starlette.sse import AppStatus
from starlette.responses import JSONResponse, Response

from mcpkit.jsonrpc.codec import encode
from mcpkit.observe.audit import Audit, wanted
from mcpkit.observe.metrics import Metrics
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, SUPPORTED
from mcpkit.security.principal import Principal
from mcpkit.server import Server
from mcpkit.sessions.choice import replica_for, store_for
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings
from mcpkit.transports.access import authentication_of
from mcpkit.transports.asgi import PRINCIPAL_KEY, Receive, Refused, Scope, Send, refuse, route_path
from mcpkit.transports.discovery import Discovery
from mcpkit.transports.gate import Authenticate, Gate
from mcpkit.transports.operations import Fence, MetricsPage, ResourceMetadata, host_checked
from mcpkit.transports.streamable_http import McpEndpoint

if TYPE_CHECKING:
    from mcpkit.sessions.redis_replica import Replica

Door = Callable[[Scope, Receive, Send], Any]
Describe = Callable[[str], dict[str, Any]]

MCP_PATH: Final = "/api"
SSE_PATH: Final = "/sse"
HEALTH: Final = ("/healthz", "/readyz")
"""Open to everybody, whatever Host they name: orchestrators ask by address."""
EXIT_POLL_SECONDS: Final = 0.5
EXAMPLE: Final = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


# ── an application of its own ────────────────────────────────────────────────────────────────────────────────────────


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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and not self.user_middleware and not self.router.dependencies:
            if self.root_path:
                scope["root_path"] = self.root_path
            door = self._doors.get(route_path(scope))
            if door is not None:
                await door(scope, receive, send)
                return
        if scope["type"] == "http" and not await self._fence(scope, receive, send, route_path(scope)):
            return
        await super().__call__(scope, receive, send)

    def drain(self) -> None:
        """Let every stream end gracefully and open no new ones; calls in flight go on."""
        _drain(self.mcp_server, self.mcp_endpoint)


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

    ``authenticate`` maps header fields to the principal, and then nothing but health and public documents is open;
    by default the settings say it. ``describe`` maps the URL of this application to what ``/``
    says of it; ``options`` are FastAPI's. Raises: ValueError when an allowed host or origin can't be read;
    SettingsError when the settings of authentication don't make a whole.
    """
    settings = settings or Settings()
    authenticate = authenticate or authentication_of(settings)
    gate = Gate(settings, authenticate)
    replica = None if store is not None else _replica(server, settings)
    server.kernel.max_result_bytes = settings.max_result_bytes
    endpoint = McpEndpoint(server.kernel, store or store_for(settings, replica), gate, settings, MCP_PATH)
    info = _Info(gate, describe or (lambda url: describe_server(server, url)))
    metrics = _observed(server, settings, endpoint)
    doors: dict[str, Door] = {"/": info, "/metrics": MetricsPage(metrics, gate, authenticated=bool(authenticate))}
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
    app.add_exception_handler(404, _lost)
    app.include_router(_router(server, endpoint, None, replica))
    for path in set(doors) - {MCP_PATH, SSE_PATH, f"{MCP_PATH}/", f"{SSE_PATH}/"}:
        app.add_api_route(path, _handing_over(doors[path], None), include_in_schema=False)
    for path, health in zip(HEALTH, (_healthy, _readiness(endpoint)), strict=True):
        app.add_api_route(path, health, include_in_schema=False)
    return app


def describe_server(server: Server, url: str) -> dict[str, Any]:
    """What ``GET /`` says: name, versions, URLs, counts, a line to copy. ``url`` has no slash at its end."""
    return {
        "name": server.name,
        "version": server.version,
        "protocolVersions": list(SUPPORTED),
        "endpoints": {"mcp": f"{url}{MCP_PATH}", "sse": f"{url}{SSE_PATH}", "info": f"{url}/"},
        "tools": len(server.tools),
        "resources": len(server.resources),
        "prompts": len(server.prompts),
        "example": curl_line(f"{url}{MCP_PATH}"),
    }


def curl_line(url: str) -> str:
    """A command that can be copied: lists the tools of the server whose MCP URL this is."""
    return f"curl -s {url} -H 'Content-Type: application/json' -d '{EXAMPLE}'"


# ── a router in somebody's application ───────────────────────────────────────────────────────────────────────────────


def mcp_router(
    server: Server,
    settings: Settings | None = None,
    *,
    principal: Callable[..., Any] | Dependency | None = None,
    store: SessionStore | None = None,
) -> APIRouter:
    """The MCP URLs as a router: ``app.include_router(mcp_router(server, principal=current_user), prefix="/mcp")``.

    ``principal`` is a dependency whose result (a Principal, or a text that identifies the caller) is who calls, as
    sessions and contexts see it. Dependencies given to ``include_router`` are obeyed too; one of those may set
    ``request.state.principal``. The server's lifespan joins the application's. Raises: ValueError, as create_app.
    """
    settings = settings or Settings()
    replica = None if store is not None else _replica(server, settings)
    server.kernel.max_result_bytes = settings.max_result_bytes
    gate = Gate(settings, None if principal else authentication_of(settings))
    endpoint = McpEndpoint(server.kernel, store or store_for(settings, replica), gate, settings, MCP_PATH)
    return _router(server, endpoint, principal, replica)


def _router(
    server: Server,
    endpoint: McpEndpoint,
    principal: Callable[..., Any] | Dependency | None,
    replica: Replica | None,
) -> APIRouter:
    router = APIRouter(lifespan=_lifespan(server, endpoint, replica), tags=["MCP"])
    serve, stream = _handing_over(endpoint, principal), _handing_over(endpoint.sse, principal)
    router.add_api_route(MCP_PATH, serve, methods=["POST"], openapi_extra=_DOCUMENTED, summary="JSON-RPC and MCP")
    router.add_api_route(SSE_PATH, stream, methods=["GET"], summary="The stream of the first HTTP transport")
    for path in (MCP_PATH, f"{MCP_PATH}/"):
        router.add_api_route(path, serve, methods=["POST", "GET", "DELETE", "OPTIONS"], include_in_schema=False)
    for path in (SSE_PATH, f"{SSE_PATH}/"):
        router.add_api_route(path, stream, methods=["GET", "POST", "OPTIONS"], include_in_schema=False)
    return router


class _Handover(Response):
    """What a route returns so that the endpoint, not FastAPI, answers."""

    def __init__(self, door: Door, principal: Any) -> None:
        super().__init__()
        self._door = door
        self._principal = principal

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        given = self._principal if self._principal is not None else scope.get("state", {}).get("principal")
        scope[PRINCIPAL_KEY] = as_principal(given)
        await self._door(scope, receive, send)
        if self.background is not None:
            await self.background()


def as_principal(given: Any) -> Principal | None:
    """What a dependency returned, as the caller's identity; None is an anonymous caller.

    Raises: TypeError for anything but a Principal, a non-empty text, or None.
    """
    if given is None or isinstance(given, Principal):
        return given
    if isinstance(given, str) and given:
        return Principal(given)
    raise TypeError(f"the principal dependency returned {type(given).__name__}; return a Principal or the caller's id")


def _handing_over(door: Door, principal: Callable[..., Any] | Dependency | None) -> Callable[..., Any]:
    if principal is None:

        async def anonymous(request: Request) -> Response:
            return _Handover(door, None)

        return anonymous
    dependency = principal if isinstance(principal, Dependency) else Depends(principal)

    async def identified(request: Request, caller: Any = dependency) -> Response:
        return _Handover(door, caller)

    return identified


# ── what surrounds them ──────────────────────────────────────────────────────────────────────────────────────────────


class _Info:
    """``GET /``: the same gate as everywhere, then a description."""

    def __init__(self, gate: Gate, describe: Describe) -> None:
        self._gate = gate
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            visit = await self._gate.admit(scope, receive, send)
            if scope["method"] not in {"GET", "HEAD"}:
                raise Refused(
                    405, f"This page is read with GET; JSON-RPC goes to {MCP_PATH}", [(b"allow", b"GET, HEAD")]
                )
        except Refused as refusal:
            await refuse(send, refusal)
            return
        url = f"{scope['scheme']}://{visit.headers['host']}{scope.get('root_path') or ''}"
        await visit.answer(200, encode(self._describe(url)))


def _lifespan(server: Server, endpoint: McpEndpoint, replica: Replica | None) -> Any:
    kernel = server.kernel

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        shared = replica.running(kernel.changes, kernel.sealer.adopt) if replica else nullcontext()
        async with shared, server.running():
            watcher = asyncio.create_task(_drain_at_exit(server, endpoint))
            try:
                yield
            finally:
                watcher.cancel()
                _drain(server, endpoint)
                with suppress(asyncio.CancelledError):
                    await watcher

    return lifespan


async def _drain_at_exit(server: Server, endpoint: McpEndpoint) -> None:
    """Under a foreign uvicorn nobody tells us that it wants to exit, and it waits for streams that never end."""
    if _exiting():  # left over from an earlier server of this process
        return
    while not _exiting():  # noqa: ASYNC110 - a flag of another library, set in a signal handler
        await asyncio.sleep(EXIT_POLL_SECONDS)
    _drain(server, endpoint)


def _exiting() -> bool:
    """Whether uvicorn has been told to exit, as sse-starlette has hooked it."""
    return AppStatus.should_exit


def _drain(server: Server, endpoint: McpEndpoint) -> None:
    endpoint.drain()
    server.close_streams()


def _replica(server: Server, settings: Settings) -> Replica | None:
    """What this process shares with others; extensions that can, share too."""
    replica = replica_for(settings)
    if replica is not None:
        for extension in server.extensions:
            share = getattr(extension, "share", None)
            if share is not None:
                share(replica.link)
    return replica


def _observed(server: Server, settings: Settings, endpoint: McpEndpoint) -> Metrics:
    """Count what is served; write the audit trail where somebody reads it."""
    metrics = Metrics(
        knows_method=server.kernel.knows,
        knows_tool=lambda name: server.tools.get(name) is not None,
        version=server.version,
    )
    metrics.gauge("mcp_server_sessions", "Handshake sessions that are open.", lambda: endpoint.sessions)
    metrics.gauge("mcp_server_streams", "Event streams that are open.", lambda: endpoint.streams)
    if settings.redis_url is not None:
        metrics.gauge("mcp_server_redis_up", "Whether Redis can be reached.", lambda: not endpoint.away)
    server.observe(metrics)
    if wanted(settings.log_level):
        server.observe(Audit())
    return metrics


async def _lost(request: Request, error: Exception) -> Response:
    """Whoever tries the path of another server learns this one's; an application's own 404 keeps its words."""
    detail = getattr(error, "detail", "Not Found")
    if detail == "Not Found":
        detail = f"Nothing is here: MCP is at {MCP_PATH}, and / says what else there is"
    return JSONResponse({"detail": detail}, 404, getattr(error, "headers", None))


async def _healthy() -> Response:
    """The process answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


def _readiness(endpoint: McpEndpoint) -> Callable[..., Any]:
    async def ready() -> Response:
        """Whether requests should be sent here: not once the server is going down, nor while sessions can't be had."""
        if endpoint.draining:
            return Response(b'{"status":"draining"}', 503, media_type="application/json")
        if endpoint.away:
            return Response(b'{"status":"redis is away"}', 503, _RETRY, media_type="application/json")
        return Response(b'{"status":"ok"}', media_type="application/json")

    return ready


_RETRY: Final = {"retry-after": "1"}


def _message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"value": {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}}


_CALL = {"name": "add", "arguments": {"a": 2, "b": 3}}
_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": NEWEST.name,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_OPENING = {
    "protocolVersion": NEWEST_HANDSHAKE.name,
    "capabilities": {},
    "clientInfo": {"name": "me", "version": "1"},
}
_RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "5"}]}}
_ERROR = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found: nonsense"}}
_DOCUMENTED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["jsonrpc", "method"]},
                "examples": {
                    "plain JSON-RPC": _message("tools/call", _CALL),
                    f"MCP {NEWEST.name} (mirror method and name in headers)": _message(
                        "tools/call", {**_CALL, "_meta": _ENVELOPE}
                    ),
                    "opening a session": _message("initialize", _OPENING),
                },
            }
        },
    },
    "responses": {
        "200": {
            "description": "The answer, as JSON or, when the call speaks, as an event stream",
            "content": {
                "application/json": {"examples": {"result": {"value": _RESULT}, "error": {"value": _ERROR}}},
                "text/event-stream": {},
            },
        },
        "202": {"description": "A notification or a client's answer was accepted"},
        "400": {"description": "No JSON-RPC message, or one that contradicts its headers"},
        "403": {"description": "The Origin may not call"},
        "404": {"description": "No such session or, since the newest revision, no such method"},
        "413": {"description": "The body is too large"},
    },
}

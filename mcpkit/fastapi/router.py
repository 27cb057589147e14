"""The MCP URLs as routes of FastAPI, for an application of its own and for somebody else's.

What must never stand here: a rule of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request
from fastapi.params import Depends as Dependency
from starlette.responses import Response

from mcpkit.fastapi.clash import check_routes, share_origins
from mcpkit.fastapi.documented import DOCUMENTED
from mcpkit.fastapi.lifespan import check_inputs, lifespan_of, prepare
from mcpkit.fastapi.pages import MCP_PATH, SSE_PATH, Door
from mcpkit.fastapi.startup import Startup, begun
from mcpkit.security.principal import Principal
from mcpkit.server import Server
from mcpkit.sessions.choice import buckets_for, keys_for, store_for
from mcpkit.sessions.store import SessionStore
from mcpkit.settings import Settings
from mcpkit.transports.access import authentication_of, check_one_authentication, resource_of
from mcpkit.transports.asgi import PRINCIPAL_KEY, Receive, Scope, Send
from mcpkit.transports.gate import Gate
from mcpkit.transports.operations import ResourceMetadata
from mcpkit.transports.streamable_http import McpEndpoint

if TYPE_CHECKING:
    from mcpkit.sessions.redis_replica import Replica


def mcp_router(
    server: Server,
    settings: Settings | None = None,
    *,
    principal: Callable[..., Any] | Dependency | None = None,
    store: SessionStore | None = None,
) -> APIRouter:
    """The MCP URLs as a router: ``app.include_router(mcp_router(server, principal=current_user), prefix="/mcp")``.

    Without ``settings`` the environment and .env are read; ``Settings()`` means the defaults.
    ``principal`` is a dependency whose result (a Principal, or a text that identifies the caller) is who calls, as
    sessions and contexts see it. Dependencies given to ``include_router`` are obeyed too; one of those may set
    ``request.state.principal``. The server's lifespan joins the application's.

    With ``MCP_AUTH_ISSUER`` set, clients look for the resource's metadata at the root of the origin. It is served here
    too, and so is found where the router has no prefix; where it has one, include :func:`metadata_router` besides.
    Raises: ValueError, as create_app, and when both ``principal`` and the settings say who calls.
    """
    settings = check_inputs("mcp_router", server, settings)
    check_one_authentication("mcp_router(principal=…)", principal, settings)
    replica = prepare(server, settings, store, metrics=False)
    authenticate = None if principal else authentication_of(settings, keys_for(settings, replica))
    gate = Gate(settings, authenticate, buckets_for(settings, replica))
    endpoint = McpEndpoint(server.kernel, store or store_for(settings, replica), gate, settings, MCP_PATH)

    def check(app: Any) -> None:
        check_routes(app, endpoints_of(router))
        share_origins(app, gate)

    def enter(app: Any) -> Any:
        return router.lifespan_context(app)

    startup = Startup(server.name, enter, lambda: server.idle)
    router = router_of(server, endpoint, principal, replica, startup, check)
    if authenticate is not None and authenticate.resource is not None:
        router.include_router(metadata_router(settings))
    return router


def metadata_router(settings: Settings) -> APIRouter:
    """The resource's metadata (RFC 9728) for the root application: ``app.include_router(metadata_router(settings))``.

    It answers at both well-known forms, the one that belongs to the URL ``MCP_AUTH_RESOURCE``, which challenges name,
    and the origin's own. Include it without a prefix. Raises: SettingsError without ``MCP_AUTH_ISSUER`` and that URL.
    """
    resource, router = resource_of(settings), APIRouter()
    serve = handing_over(ResourceMetadata(resource), None)
    for path in resource.paths:
        router.add_api_route(path, serve, methods=["GET", "HEAD", "OPTIONS"], include_in_schema=False)
    return router


def router_of(
    server: Server,
    endpoint: McpEndpoint,
    principal: Callable[..., Any] | Dependency | None,
    replica: Replica | None,
    startup: Startup,
    check: Callable[[Any], None],
) -> APIRouter:
    """Routes to ``endpoint``, in the OpenAPI document once; ``principal`` is a dependency that says who calls.

    ``startup`` has the lifespan entered at the latest by the first request, ``check`` sees the application before.
    """
    router = APIRouter(lifespan=lifespan_of(server, endpoint, replica, startup, check), tags=["MCP"])
    serve = handing_over(_started(startup, endpoint), principal)
    stream = handing_over(_started(startup, endpoint.sse), principal)
    router.add_api_route(MCP_PATH, serve, methods=["POST"], openapi_extra=DOCUMENTED, summary="JSON-RPC and MCP")
    router.add_api_route(SSE_PATH, stream, methods=["GET"], summary="The stream of the first HTTP transport")
    for path in (MCP_PATH, f"{MCP_PATH}/"):
        router.add_api_route(path, serve, methods=["POST", "GET", "DELETE", "OPTIONS"], include_in_schema=False)
    for path in (SSE_PATH, f"{SSE_PATH}/"):
        router.add_api_route(path, stream, methods=["GET", "POST", "OPTIONS"], include_in_schema=False)
    return router


def endpoints_of(router: APIRouter) -> set[Any]:
    """The functions that serve the routes of a router which has no other in it."""
    return {endpoint for route in router.routes if (endpoint := getattr(route, "endpoint", None)) is not None}


def _started(startup: Startup, door: Door) -> Door:
    async def started(scope: Scope, receive: Receive, send: Send) -> None:
        if startup.running or await begun(startup, scope, receive, send):
            await door(scope, receive, send)

    return started


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


def handing_over(door: Door, principal: Callable[..., Any] | Dependency | None) -> Callable[..., Any]:
    """A route that lets ``door`` answer, in the name of whoever the dependency says calls."""
    if principal is None:

        async def anonymous(request: Request) -> Response:
            return _Handover(door, None)

        return anonymous
    dependency = principal if isinstance(principal, Dependency) else Depends(principal)

    async def identified(request: Request, caller: Any = dependency) -> Response:
        return _Handover(door, caller)

    return identified

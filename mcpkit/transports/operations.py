"""The routes beside the MCP endpoint: the resource's metadata, metrics, and the fence around whatever else is served.

What must never stand here: JSON-RPC, what is measured, a framework.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias

from mcpkit.jsonrpc.codec import encode
from mcpkit.observe.metrics import CONTENT_TYPE, Metrics
from mcpkit.security.resource import ProtectedResource
from mcpkit.sessions.store import StoreAway
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Header, Receive, Refused, Scope, Send, refuse
from mcpkit.transports.gate import Gate
from mcpkit.transports.reception import refusal_of

Door: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_CHALLENGE: Final[Header] = (b"www-authenticate", b"Bearer")
_FORWARDING: Final = re.compile(
    rb".*forwarded.*|via|max-forwards|proxy-.*|.*(?:client|real|user|connecting|remote|cluster|external)-?(?:ip|addr).*"
    rb"|x-(?:original|rewrite|envoy|amzn?|azure|appengine|vercel|arr|akamai|cloud|scheme|host|proxy)(?:-.*)?"
    rb"|(?:cf|cdn|fly|fastly|akamai|ngrok|tailscale|true|wl)-.*"
)
"""Names of fields by which proxies and tunnels say that they pass something on; programs that scrape send none."""
ALLOW_GET: Final[Header] = (b"allow", b"GET, HEAD, OPTIONS")
_PUBLIC: Final[tuple[Header, ...]] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, OPTIONS"),
    (b"access-control-allow-headers", b"*"),
    (b"cache-control", b"public, max-age=3600"),
)


class ResourceMetadata:
    """Answers with the protected resource's description, to everybody (RS-01, RS-03)."""

    def __init__(self, resource: ProtectedResource) -> None:
        self._document = encode(resource.document())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        method = scope["method"]
        if method == "OPTIONS":
            await _answer(send, 204, [*_PUBLIC], b"")
        elif method in {"GET", "HEAD"}:
            headers = [(b"content-type", b"application/json"), *_PUBLIC]
            await _answer(send, 200, headers, self._document, head=method == "HEAD")
        else:
            await refuse(send, Refused(405, "This document is read with GET", [ALLOW_GET]))


class MetricsPage:
    """Answers with the metrics: to programs on this machine, and to callers who have authenticated.

    What a proxy on this machine passes on comes from elsewhere. Where there is a ``token``, it is needed and enough,
    wherever the request comes from: any Host is fine then, since an orchestrator asks by address, and a page that has
    rebound its name doesn't know it. It opens nothing else.
    """

    def __init__(self, metrics: Metrics, gate: Gate, token: str | None = None, *, authenticated: bool) -> None:
        self._metrics = metrics
        self._gate = gate
        self._local = Gate(Settings())
        self._scraper = f"Bearer {token}".encode() if token else None
        self._authenticated = authenticated

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self._admit(scope, receive, send)
            if scope["method"] not in {"GET", "HEAD"}:
                raise Refused(405, "Metrics are read with GET", [(b"allow", b"GET, HEAD")])
        except Refused as refusal:
            await refuse(send, refusal)
            return
        page = self._metrics.render()
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"cache-control", b"no-store")]
        await _answer(send, 200, headers, page, head=scope["method"] == "HEAD")

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._scraper is not None:
            if not self._is_scraper(scope, self._scraper):
                raise Refused(401, "Send MCP_METRICS_TOKEN as Authorization: Bearer <token>", [_CHALLENGE])
            return
        if is_local(scope):  # its Host too: a proxy on this machine brings strangers
            try:
                await self._local.admit(scope, receive, send)
                return
            except Refused:
                if not self._authenticated:
                    raise
        if not self._authenticated:
            raise Refused(403, "Metrics are for programs on this machine; others need MCP_METRICS_TOKEN to be set")
        await self._gate.admit(scope, receive, send)

    def _is_scraper(self, scope: Scope, expected: bytes) -> bool:
        given = [value.strip(b" \t") for name, value in scope["headers"] if name == b"authorization"]
        return len(given) == 1 and hmac.compare_digest(given[0], expected)


class Fence:
    """Around every route that is not named: nothing is open by oversight (CVE-2026-33032).

    Every request names a Host that is served here. With authentication on, whoever calls says who they are, over
    WebSockets too; what a browser asks beforehand is answered here, for it carries no credentials. Without it, pages of
    foreign origins may read but change nothing.
    """

    def __init__(
        self,
        gate: Gate,
        exempt: Mapping[str, Collection[str]],
        *,
        authenticated: bool,
        is_open: Callable[[str], bool] = lambda path: False,
    ) -> None:
        """``exempt`` are the methods of the paths that look after themselves, or are open to everybody; ``is_open``
        tells other paths that need no credentials, and take any Origin."""
        self.gate = gate
        self._exempt = exempt
        self._is_open = is_open
        self.authenticated = authenticated
        self.answers_preflights = True
        """Whether a preflight is answered here; False where something behind it does that, whatever the path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> bool:
        """Whether the request may go on; if not, it has been answered."""
        websocket = scope["type"] == "websocket"
        if not websocket and scope["method"] in self._exempt.get(path, ()):
            return True
        try:
            return await self._admit(scope, receive, send, path)
        except (Refused, StoreAway) as error:
            if websocket:
                await receive()
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # before it is accepted: a 403
            else:
                await refuse(send, refusal_of(error))
            return False

    async def _admit(self, scope: Scope, receive: Receive, send: Send, path: str) -> bool:
        gate, method = self.gate, scope.get("method")
        gate.check_host(scope)
        if self._is_open(path):
            return True
        if method == "OPTIONS" and self.authenticated and _is_preflight(scope):
            if self.answers_preflights:
                await self._answer_preflight(scope, receive, send)
            return not self.answers_preflights
        if method not in SAFE_METHODS or self.authenticated:
            gate.check_origin(scope)
        if self.authenticated:
            # OPTIONS without credentials is for preflights alone, and this is none
            named = {**scope, "method": "GET"} if method == "OPTIONS" else scope
            visit = await gate.admit(named, receive, send)
            scope.setdefault("state", {})["principal"] = visit.principal
        return True

    async def _answer_preflight(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self.gate.judge(scope, receive, send)
        wanted = visit.headers["access-control-request-method"]
        names = [name.strip() for name in visit.headers.get("access-control-request-headers", "").split(",")]
        methods = wanted if _TOKEN.fullmatch(wanted) else ""
        allowed = ", ".join(name for name in names if _TOKEN.fullmatch(name))
        visit.extra += (
            (b"access-control-allow-methods", methods.encode("latin-1")),
            (b"access-control-allow-headers", allowed.encode("latin-1")),
            (b"access-control-max-age", b"600"),
        )
        await visit.answer_empty(204)


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
POLICY_VIOLATION: Final = 1008
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def _is_preflight(scope: Scope) -> bool:
    """Whether a browser asks what it may send (Fetch standard, CORS-preflight fetch)."""
    return {b"origin", b"access-control-request-method"} <= {name for name, _ in scope["headers"]}


def host_checked(gate: Gate, door: Door) -> Door:
    """The same door, for requests to a Host that is served here."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            gate.check_host(scope)
        except Refused as refusal:
            await refuse(send, refusal)
            return
        await door(scope, receive, send)

    return checked


def is_local(scope: Scope) -> bool:
    """Whether the request comes from a program on this machine, and not through a proxy on it.

    A proxy that adds no field at all, as nginx by default, is known by its HTTP/1.0, which no scraper speaks.
    """
    client = scope.get("client")
    names = (name.replace(b"_", b"-") for name, _ in scope["headers"])
    if scope.get("http_version") == "1.0" or any(map(_FORWARDING.fullmatch, names)):
        return False
    try:
        address = ip_address(client[0].partition("%")[0]) if client is not None else None
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address  # what an IPv4 client is to a socket that takes both
    return address is not None and address.is_loopback


async def _answer(send: Send, status: int, headers: list[Header], body: bytes, *, head: bool = False) -> None:
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})

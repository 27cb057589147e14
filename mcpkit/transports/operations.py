"""The routes beside the MCP endpoint: the resource's metadata, metrics, and the fence around whatever else is served.

What must never stand here: JSON-RPC, what is measured, a framework.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address
from typing import Final, TypeAlias

from mcpkit.jsonrpc.codec import encode
from mcpkit.observe.metrics import CONTENT_TYPE, Metrics
from mcpkit.security.resource import ProtectedResource
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Header, Receive, Refused, Scope, Send, refuse
from mcpkit.transports.gate import Gate

Door: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

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
    """Answers with the metrics: on this machine to everybody, elsewhere to callers who have authenticated.

    Whoever scrapes may have a ``token`` of its own, which opens nothing else: with it any Host is fine, since an
    orchestrator asks by address, and a page that has rebound its name doesn't know it.
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
        if self._is_scraper(scope):
            return
        if is_local(scope):  # its Host too: a proxy on this machine brings strangers
            try:
                await self._local.admit(scope, receive, send)
                return
            except Refused:
                if not self._authenticated:
                    raise
        if not self._authenticated:
            raise Refused(403, "Metrics are for this machine, authenticated callers, or who has MCP_METRICS_TOKEN")
        await self._gate.admit(scope, receive, send)

    def _is_scraper(self, scope: Scope) -> bool:
        given = [value.strip(b" \t") for name, value in scope["headers"] if name == b"authorization"]
        return self._scraper is not None and len(given) == 1 and hmac.compare_digest(given[0], self._scraper)


class Fence:
    """Around every route that is not named: with authentication on, nothing is open by oversight (CVE-2026-33032)."""

    def __init__(self, gate: Gate, gated: Collection[str], *, authenticated: bool) -> None:
        """``gated`` are the paths that look after themselves, or are open."""
        self._gate = gate
        self._gated = frozenset(gated)
        self.authenticated = authenticated

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> bool:
        """Whether the request may go on; if not, it has been answered."""
        if path in self._gated:
            return True
        try:
            if self.authenticated:
                visit = await self._gate.admit(scope, receive, send)
                scope.setdefault("state", {})["principal"] = visit.principal
            elif path in DESCRIPTIONS:
                self._gate.check_host(scope)
        except Refused as refusal:
            await refuse(send, refusal)
            return False
        return True


DESCRIPTIONS: Final = frozenset({"/openapi.json", "/docs", "/redoc"})
"""What FastAPI says of an application: not for pages that have rebound their name (NET-05)."""


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
    """Whether the request comes from this machine."""
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


async def _answer(send: Send, status: int, headers: list[Header], body: bytes, *, head: bool = False) -> None:
    if status != 204:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})

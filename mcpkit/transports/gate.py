"""Who may enter: limits of the request's head, Host and Origin, media types, the caller's identity.

Everything here is decided before a byte of the body is read. What must never stand here: JSON-RPC, sessions.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from itertools import chain
from typing import Final, TypeAlias

from mcpkit.security.origin import ANY, LOOPBACK, OriginRules
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from mcpkit.transports.asgi import (
    CLOSE,
    PRINCIPAL_KEY,
    Header,
    Receive,
    Refused,
    Scope,
    Send,
    Visit,
    join_fields,
    too_large,
)

Authenticate: TypeAlias = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Header fields (names in lower case) → who calls; raises Refused with 401 or 403 and its challenge."""

JSON: Final = 1
EVENTS: Final = 2
EITHER: Final = JSON | EVENTS
REMEMBERED: Final = 512
"""How many different header values of one kind are remembered with their verdict."""

_JSON_RANGES: Final = frozenset({"application/json", "application/*", "*/*"})
_EVENT_RANGES: Final = frozenset({"text/event-stream", "text/*", "*/*"})
_CORS_METHODS: Final = (b"access-control-allow-methods", b"POST, GET, DELETE, OPTIONS")
_CORS_HEADERS: Final = frozenset(
    {
        "content-type",
        "accept",
        "authorization",
        "mcp-protocol-version",
        "mcp-session-id",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "traceparent",
        "tracestate",
        "baggage",
    }
)
_EXPOSED: Final = (b"access-control-expose-headers", b"Mcp-Session-Id, WWW-Authenticate, Retry-After")

logger = logging.getLogger("mcpkit.gate")


class Gate:
    """Lets a request in as a :class:`Visit`, or raises Refused."""

    __slots__ = ("_accepts", "_authenticate", "_rules", "_settings", "_types")

    def __init__(self, settings: Settings, authenticate: Authenticate | None = None) -> None:
        """Raises: ValueError when an allowed host or origin can't be read."""
        self._settings = settings
        self._authenticate = authenticate
        hosts = LOOPBACK | frozenset(settings.allowed_hosts) | _own_name(settings.host)
        self._rules = OriginRules(hosts=hosts, origins=LOOPBACK | frozenset(settings.allowed_origins))
        self._accepts: dict[str | None, int] = {None: EITHER}
        self._types: dict[str | None, bool] = {}

    async def admit(self, scope: Scope, receive: Receive, send: Send) -> Visit:
        """Check the head of a request.

        Raises: Refused.
        """
        headers = self._read_head(scope)
        visit = Visit(scope, receive, send, headers, self._accept(headers.get("accept")))
        if not self._rules.host_allowed(headers["host"]):
            logger.warning("refused Host %r: not in MCP_ALLOWED_HOSTS", headers["host"][:200])
            raise Refused(421, "This Host is not served here; add it to MCP_ALLOWED_HOSTS")
        origin = headers.get("origin")
        if origin is not None:
            visit.extra = self._cross_origin(origin)
        await self._identify(visit)
        return visit

    def check_body(self, headers: Mapping[str, str]) -> None:
        """That the announced body is one we read (SHC-09, SHC-15).

        Raises: Refused.
        """
        kind = headers.get("content-type")
        sound = self._types.get(kind)
        if sound is None:
            sound = _is_json(kind)
            if len(self._types) < REMEMBERED:
                self._types[kind] = sound
        if not sound:
            raise Refused(415, "The Content-Type must be application/json")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Refused(415, "A body with a Content-Encoding is not read; send it as it is", [CLOSE])
        length = headers.get("content-length")
        if length is not None and (not length.isdecimal() or int(length[:20]) > self._settings.max_body_bytes):
            raise too_large()

    def preflight(self, visit: Visit) -> tuple[Header, ...]:
        """What a browser is told before it sends the real request (SHC-18)."""
        asked = visit.headers.get("access-control-request-headers", "")
        names = [name for name in (part.strip().lower() for part in asked.split(",")) if _is_cors_header(name)]
        allowed = (b"access-control-allow-headers", ", ".join(names).encode("latin-1"))
        return (*visit.extra, _CORS_METHODS, allowed, (b"access-control-max-age", b"600"))

    async def _identify(self, visit: Visit) -> None:
        if self._authenticate is None:
            visit.principal = visit.scope.get(PRINCIPAL_KEY)
        elif visit.scope["method"] != "OPTIONS":  # a browser's preflight carries no credentials
            try:
                visit.principal = await self._authenticate(visit.headers)
            except Refused as refusal:
                refusal.headers += visit.extra
                raise

    def _read_head(self, scope: Scope) -> dict[str, str]:
        raw: list[Header] = scope["headers"]
        settings = self._settings
        block = b"\n".join(chain.from_iterable(raw))  # one decoding for all
        if len(raw) > settings.max_header_fields or len(block) > settings.max_header_bytes:
            raise Refused(
                431, "The header block is too large; see MCP_MAX_HEADER_BYTES, MCP_MAX_HEADER_FIELDS", [CLOSE]
            )
        if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > settings.max_uri_bytes:
            raise Refused(414, "The URI is too long; the limit is MCP_MAX_URI_BYTES", [CLOSE])
        texts = block.decode("latin-1").split("\n") if raw else []
        if len(texts) != 2 * len(raw):
            raise Refused(400, "A header field may not hold a line break", [CLOSE])
        headers = dict(zip(texts[::2], texts[1::2], strict=True))
        if len(headers) != len(raw):
            headers = _joined(raw)
        if "transfer-encoding" in headers and "content-length" in headers:
            raise Refused(400, "Content-Length and Transfer-Encoding exclude each other", [CLOSE])
        if "host" not in headers:
            raise Refused(400, "The Host header is missing", [CLOSE])
        return headers

    def _accept(self, value: str | None) -> int:
        known = self._accepts.get(value)
        if known is None:
            known = _acceptable(value or "")
            if len(self._accepts) < REMEMBERED:
                self._accepts[value] = known
        return known

    def _cross_origin(self, origin: str) -> tuple[Header, ...]:
        if not self._rules.origin_allowed(origin):
            logger.warning("refused Origin %r: not in MCP_ALLOWED_ORIGINS", origin[:200])
            raise Refused(403, "This Origin may not call; add it to MCP_ALLOWED_ORIGINS")
        shown = b"*" if ANY in self._rules.origins else origin.encode("latin-1")
        return ((b"access-control-allow-origin", shown), (b"vary", b"origin"), _EXPOSED)


def _own_name(host: str) -> frozenset[str]:
    """The name that the server was told to listen on, unless that means every name."""
    if host in {"", "0.0.0.0", "::"}:
        return frozenset()
    return frozenset({f"[{host}]" if ":" in host else host})


def _joined(raw: list[Header]) -> dict[str, str]:
    """The slow way, for heads with repeated fields."""
    headers = join_fields(raw)
    for single in ("host", "content-length", "transfer-encoding", "content-type", "origin"):
        if sum(name.lower() == single.encode() for name, _ in raw) > 1:
            raise Refused(400, f"The header {single} may stand only once", [CLOSE])
    return headers


def _is_json(kind: str | None) -> bool:
    return kind is not None and kind.partition(";")[0].strip(" \t").lower() == "application/json"


def _acceptable(value: str) -> int:
    """What an Accept header admits (RFC 9110 §12.5.1); the most specific range with q=0 takes its type out again."""
    verdict = 0
    refused = 0
    for entry in value.lower().split(","):
        name, _, parameters = entry.partition(";")
        kinds = (JSON if name.strip() in _JSON_RANGES else 0) | (EVENTS if name.strip() in _EVENT_RANGES else 0)
        if _quality(parameters) > 0:
            verdict |= kinds
        elif "*" not in name:
            refused |= kinds
    return (verdict & ~refused) if value.strip() else EITHER


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value.strip())
            except ValueError:
                return 0.0
    return 1.0


def _is_cors_header(name: str) -> bool:
    return name in _CORS_HEADERS or (name.startswith("mcp-param-") and name.replace("-", "").isalnum())

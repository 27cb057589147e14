"""Who may enter: limits of the request's head, Host and Origin, media types, the caller's identity.

Everything here is decided before a byte of the body is read. What must never stand here: JSON-RPC, sessions.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import cache
from itertools import chain
from typing import Final, TypeAlias

from mcpkit.features.errors import InsufficientScope, Overloaded
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import Id
from mcpkit.security.address import TrustedProxies
from mcpkit.security.origin import ANY, LOOPBACK, OriginRules
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from mcpkit.transports.asgi import (
    BLANKS,
    CLOSE,
    PRINCIPAL_KEY,
    Asked,
    Header,
    Receive,
    Refused,
    Scope,
    Send,
    Visit,
    join_fields,
    too_large,
)
from mcpkit.transports.authentication import forbidden
from mcpkit.transports.leave import Leave, leave_seconds
from mcpkit.transports.rate import Pace, SharedBuckets, TokenBuckets

Authenticate: TypeAlias = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Header fields (names in lower case) → who calls; raises Refused with 401 or 403 and its challenge."""

Fault: TypeAlias = tuple[str, tuple[Header, ...]]
"""Why a body is not read, and the header fields that the refusal carries."""

Key: TypeAlias = tuple[bytes | str | int, ...]

JSON: Final = 1
EVENTS: Final = 2
TEST_CLIENT: Final = ("testclient", 50000)
"""The address by which Starlette's test client connects: no socket's."""
TEST_HOST: Final = "testserver"
EITHER: Final = JSON | EVENTS
REMEMBERED: Final = 512
"""How many different heads are remembered with their verdict."""
REMEMBERED_BYTES: Final = 2048
"""How long a head may be to be remembered."""
FORWARDED_FOR: Final = "x-forwarded-for"
CHANGING: Final = tuple(
    (name.encode(), name) for name in ("content-length", "mcp-session-id", "traceparent", "tracestate", FORWARDED_FOR)
)
"""Fields that say nothing of whether a request is let in, and differ from one to the next: not remembered."""
CHANGING_BYTES: Final = 128
"""How long such a field may be to be passed over."""

SINGLE: Final = (
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-encoding",
    "origin",
    "authorization",
    "mcp-session-id",
    "last-event-id",
)
"""Fields that nobody may send twice, lest two readers take different ones."""
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


@cache
def _warn_of_principal() -> None:
    """Say once that nobody asks for the caller that a dependency named."""
    logger.warning(
        "a dependency sets request.state.principal, which does nothing beside API keys or an issuer: those say who "
        "calls; unset them, or let the dependency only refuse"
    )


class Head:
    """The head of a request, read and judged: the same for all requests that bring the same constant fields."""

    __slots__ = ("accept", "extra", "fault", "headers")

    def __init__(self, headers: dict[str, str], accept: int, fault: Fault | None, extra: tuple[Header, ...]) -> None:
        self.headers = headers
        self.accept = accept
        self.fault = fault
        """Why a body that comes with it is not read, and what is to be said besides; None when it is read."""
        self.extra = extra


class Gate:
    """Lets a request in as a :class:`Visit`, or raises Refused."""

    __slots__ = (
        "_authenticate",
        "_heads",
        "_most_body",
        "_most_uri",
        "_pace",
        "_proxies",
        "_rules",
        "_settings",
        "_test_gate",
        "_told_of_proxy",
        "_worth_keeping",
        "asks",
    )

    def __init__(
        self, settings: Settings, authenticate: Authenticate | None = None, buckets: SharedBuckets | None = None
    ) -> None:
        """``buckets`` count a caller's requests at all replicas, where the settings bound them.

        Raises: ValueError when an allowed host or origin can't be read.
        """
        self._settings = settings
        self._most_uri, self._most_body = settings.max_uri_bytes, settings.max_body_bytes
        room = len(CHANGING) * (2 * CHANGING_BYTES)
        self._worth_keeping = min(REMEMBERED_BYTES, settings.max_header_bytes - room)
        self._authenticate = authenticate
        rate = settings.rate_per_second
        self._pace = Pace(TokenBuckets(rate, settings.rate_burst), buckets) if rate else None
        self.asks = authenticate is not None or self._pace is not None
        """Whether a head alone doesn't decide."""
        hosts = LOOPBACK | frozenset(settings.allowed_hosts) | _own_name(settings.host)
        self._rules = OriginRules(hosts=hosts, origins=LOOPBACK | frozenset(settings.allowed_origins))
        self._proxies = TrustedProxies(settings.forwarded_allow_ips)
        self._told_of_proxy = False
        self._heads: dict[Key, Head] = {}
        self._test_gate: Gate | None = None

    def allow_origins(self, origins: Iterable[str]) -> None:
        """Let pages of these origins in too.

        Raises: ValueError when one can't be read.
        """
        self._rules = OriginRules(hosts=self._rules.hosts, origins=self._rules.origins.union(origins))
        self._heads.clear()
        self._test_gate = None

    def _for_tests(self) -> Gate:
        """The same gate for the test client, whose Host no socket can bring together with its address."""
        if self._test_gate is None:
            gate = Gate(self._settings, self._authenticate)
            gate._rules = OriginRules(hosts=self._rules.hosts | {TEST_HOST}, origins=self._rules.origins)
            self._test_gate = gate
        return self._test_gate

    async def admit(self, scope: Scope, receive: Receive, send: Send) -> Visit:
        """Check the head of a request, and who sends it.

        Raises: Refused, StoreAway.
        """
        visit = self.judge(scope, receive, send)
        if self.asks:
            await self.identify(visit)
        return visit

    def judge(self, scope: Scope, receive: Receive, send: Send) -> Visit:
        """Check the head of a request; where the gate :attr:`asks`, :meth:`identify` has to follow.

        Raises: Refused.
        """
        self._check_target(scope)
        gate = self if scope.get("client") != TEST_CLIENT else self._for_tests()
        head, headers = gate._look_up(scope["headers"])
        visit = Visit(scope, receive, send, headers, head.accept, head.extra, head.fault)
        visit.answer_whole = getattr(getattr(send, "__self__", None), "answer_whole", None)
        client = scope["client"] if "client" in scope else None  # noqa: SIM401 - no call
        address = client[0] if client else ""
        visit.caller = address
        if FORWARDED_FOR in headers or ":" in address:  # else there is nothing to find out
            visit.caller = self._client(address, headers.get(FORWARDED_FOR))
        if PRINCIPAL_KEY in scope:
            principal = scope[PRINCIPAL_KEY]
            if self._authenticate is not None:
                if principal is not None:
                    _warn_of_principal()
            else:
                visit.principal = principal
                if principal is not None:
                    visit.caller = principal.id
        return visit

    def recognise(self, asked: Asked) -> None:
        """As :meth:`judge`, for a request that nobody stands before.

        What was found of its head holds for all that repeat it.

        Raises: Refused.
        """
        familiar = asked.head
        if familiar.verdict is None or familiar.verdict[0] is not self:
            self._check_target(asked.scope)
            head, headers = self._look_up(asked.scope["headers"])
            client = asked.scope.get("client")
            address = self._client(client[0] if client else "", headers.get(FORWARDED_FOR))
            familiar.verdict = (self, head, headers, address)
        _, head, constant, asked.caller = familiar.verdict
        asked.headers = headers = {**constant}  # a handler may do what it likes with its own
        if asked.posted:
            headers["content-length"] = str(len(asked.posted))
        asked.accept, asked.extra, asked.fault = head.accept, head.extra, head.fault

    def _client(self, peer: str, forwarded: str | None) -> str:
        """Where a request of this peer comes from."""
        if forwarded is not None and not self._told_of_proxy and not self._proxies.trusts(peer):
            self._told_of_proxy = True
            logger.warning(
                "%s sends X-Forwarded-For and is not in FORWARDED_ALLOW_IPS: if it is your proxy, all its clients "
                "count as one caller until it is (see MCP_CALLER_SHARE)",
                peer or "a peer without an address",
            )
        return self._proxies.client(peer, forwarded)

    def _check_target(self, scope: Scope) -> None:
        query = scope["query_string"]
        if len(scope.get("raw_path") or scope["path"]) + len(query) > self._most_uri:
            raise Refused(414, "The URI is too long; the limit is MCP_MAX_URI_BYTES", [CLOSE])
        if query and b"access_token=" in query:
            raise Refused(400, "A token may not stand in the URL; send it as Authorization: Bearer <token>")

    def _look_up(self, raw: list[Header]) -> tuple[Head, dict[str, str]]:
        """The verdict on a head, and all of its fields; most heads have been seen before, but for what changes."""
        fields = dict(raw)
        usual, own = len(fields) == len(raw), {}
        for name, text in CHANGING:
            if name in fields:
                value = fields.pop(name)
                usual = usual and len(value) <= CHANGING_BYTES and b"\n" not in value
                own[text] = value.decode("latin-1").strip(BLANKS)
        key: Key = (len(fields), *fields, *fields.values(), *own)
        if usual and key in self._heads:
            head = self._heads[key]
            return head, head.headers | own
        head = self._judged(raw, key)
        return head, {**head.headers}

    async def identify(self, visit: Visit) -> None:
        """Find out who calls, and whether they call too often.

        Raises: Refused, StoreAway.
        """
        if self._authenticate is not None:
            await self._identify(visit, self._authenticate)
        if self._pace is not None:
            await self._pace.keep(visit.caller)

    def check_host(self, scope: Scope) -> None:
        """That the one Host is served here, for documents that are open to everybody otherwise.

        Raises: Refused.
        """
        hosts = [value.decode("latin-1").strip(BLANKS) for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            raise Refused(400, "One Host header is needed", [CLOSE])
        gate = self if scope.get("client") != TEST_CLIENT else self._for_tests()
        gate._check_host(hosts[0])

    def check_origin(self, scope: Scope) -> None:
        """That the page which sends this, if one does, may call.

        Raises: Refused.
        """
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        if len(origins) > 1:
            raise Refused(400, "The header origin may stand only once", [CLOSE])
        for origin in origins:
            self._cross_origin(origin)

    def _check_host(self, host: str) -> None:
        if not self._rules.host_allowed(host):
            logger.warning("refused Host %r: not in MCP_ALLOWED_HOSTS", host[:200])
            raise Refused(421, "This Host is not served here; add it to MCP_ALLOWED_HOSTS")

    def check_body(self, visit: Visit) -> None:
        """That the body, which is announced or here, is one we read (SHC-09, SHC-15).

        Raises: Refused.
        """
        if visit.fault is not None:
            raise Refused(415, *visit.fault)
        if visit.posted:
            if len(visit.posted) > self._most_body:
                raise too_large()
        elif "content-length" in visit.headers:
            length = visit.headers["content-length"]
            if not length.isdecimal() or int(length[:20]) > self._most_body:
                raise too_large()

    def preflight(self, visit: Visit) -> tuple[Header, ...]:
        """What a browser is told before it sends the real request (SHC-18)."""
        asked = visit.headers.get("access-control-request-headers", "")
        names = [name for name in (part.strip().lower() for part in asked.split(",")) if _is_cors_header(name)]
        allowed = (b"access-control-allow-headers", ", ".join(names).encode("latin-1"))
        return (*visit.extra, _CORS_METHODS, allowed, (b"access-control-max-age", b"600"))

    def turn_away(self, error: RpcError, id: Id) -> None:
        """Raise the refusal that HTTP has for what a handler said, where it has one (STEP-03).

        Raises: Refused.
        """
        if isinstance(error, InsufficientScope):
            raise self.forbidden(error.scopes, id) from None
        if isinstance(error, Overloaded):
            status = 429 if error.of_caller else 503
            raise Refused(status, error.message, [(b"retry-after", b"1")], id=id) from None

    def forbidden(self, scopes: Collection[str], id: Id | None = None) -> Refused:
        """The refusal of a caller whose token does not allow what was asked for (STEP-01)."""
        own = getattr(self._authenticate, "forbidden", forbidden)
        refusal: Refused = own(scopes, id)
        return refusal

    async def _identify(self, visit: Visit, authenticate: Authenticate) -> None:
        if (
            visit.scope.get("method") == "OPTIONS"
        ):  # a WebSocket has no method; a browser's preflight carries no credentials
            return
        try:
            visit.principal = principal = await authenticate(visit.headers)
            visit.caller = principal.id
        except Refused as refusal:
            refusal.headers += visit.extra
            raise
        except Exception:
            logger.exception("the authentication failed")
            raise Refused(503, "Callers can't be identified now; try again", visit.extra) from None
        most: float | None = getattr(authenticate, "stream_seconds", None)
        ends = leave_seconds(principal, most)
        if ends is not None:
            visit.receive = Leave(visit.receive, ends)

    def _judged(self, raw: list[Header], key: Key) -> Head:
        headers = self._read(raw)
        self._check_host(headers["host"])
        origin = headers.get("origin")
        extra = () if origin is None else self._cross_origin(origin)
        head = Head(headers, _acceptable(headers.get("accept", "")), _body_fault(headers), extra)
        if len(headers) == len(raw) and sum(map(len, chain.from_iterable(raw))) <= self._worth_keeping:
            if len(self._heads) >= REMEMBERED:
                self._heads.clear()
            self._heads[key] = head
        return head

    def _read(self, raw: list[Header]) -> dict[str, str]:
        settings = self._settings
        block = b"\n".join(chain.from_iterable(raw))  # one decoding for all
        if len(raw) > settings.max_header_fields or len(block) > settings.max_header_bytes:
            raise Refused(
                431, "The header block is too large; see MCP_MAX_HEADER_BYTES, MCP_MAX_HEADER_FIELDS", [CLOSE]
            )
        texts = [text.strip(BLANKS) for text in block.decode("latin-1").split("\n")] if raw else []
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
    for single in SINGLE:
        if sum(name.lower() == single.encode() for name, _ in raw) > 1:
            raise Refused(400, f"The header {single} may stand only once", [CLOSE])
    return headers


def _body_fault(headers: Mapping[str, str]) -> Fault | None:
    if not _is_json(headers.get("content-type")):
        return "The Content-Type must be application/json, in UTF-8", ()
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        return "A body with a Content-Encoding is not read; send it as it is", (CLOSE,)
    return None


def _is_json(kind: str | None) -> bool:
    name, _, parameters = (kind or "").lower().partition(";")
    charset = parameters.partition("charset=")[2].partition(";")[0].strip(' \t"')
    return name.strip(" \t") == "application/json" and charset in {"", "utf-8", "utf8"}


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

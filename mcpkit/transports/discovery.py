"""Being found: the server card beside the MCP endpoint, and the catalogue at the origin (SEP-2127).

Public documents, the same for everybody, made once per address. What must never stand here: a tool, a prompt or a
resource (a card never lists them), who may call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.revisions.registry import SUPPORTED
from mcpkit.transports.asgi import BLANKS, Header, Receive, Scope, Send

CARD_TYPE: Final = b"application/mcp-server-card+json"
CATALOGUE_TYPE: Final = b"application/ai-catalog+json"
CARD_SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json"
CATALOGUE_PATH: Final = "/.well-known/ai-catalog.json"
MOST_DESCRIPTION: Final = 100
REMEMBERED: Final = 64
_PUBLIC: Final[tuple[Header, ...]] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET"),
    (b"access-control-allow-headers", b"Content-Type, If-None-Match"),
    (b"access-control-expose-headers", b"ETag"),
    (b"cache-control", b"public, max-age=3600"),
    (b"vary", b"host"),
)


class Discovery:
    """Serves the card at ``<endpoint>/server-card`` and the catalogue that names it."""

    __slots__ = ("_info", "_known", "_path", "_public_url")

    def __init__(self, info: Mapping[str, Any], path: str, public_url: str | None = None) -> None:
        """``info`` is the server's Implementation object, ``path`` the endpoint's; ``public_url`` is the origin that
        clients use, taken from the request where it isn't configured."""
        self._info = info
        self._path = path
        self._public_url = public_url
        self._known: dict[tuple[bytes, str], tuple[bytes, bytes]] = {}

    @property
    def paths(self) -> tuple[str, str]:
        """Where the two documents are."""
        return f"{self._path}/server-card", CATALOGUE_PATH

    async def card(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the card."""
        await self._answer(scope, send, CARD_TYPE)

    async def catalogue(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the catalogue."""
        await self._answer(scope, send, CATALOGUE_TYPE)

    async def _answer(self, scope: Scope, send: Send, kind: bytes) -> None:
        if scope["method"] not in {"GET", "HEAD", "OPTIONS"}:
            await _send(send, 405, [(b"allow", b"GET, HEAD, OPTIONS")], b"")
            return
        body, tag = self._document(kind, self._origin(scope))
        headers = [(b"content-type", kind), (b"etag", tag), *_PUBLIC]
        if scope["method"] == "OPTIONS":
            await _send(send, 204, [*_PUBLIC], None)
        elif tag in _tags(scope):
            await _send(send, 304, headers, None)
        else:
            await _send(send, 200, headers, b"" if scope["method"] == "HEAD" else body)

    def _document(self, kind: bytes, origin: str) -> tuple[bytes, bytes]:
        """The document for one address, and its entity tag."""
        known = self._known.get((kind, origin))
        if known is None:
            body = encode(self._card(origin) if kind is CARD_TYPE else self._catalogue(origin))
            known = body, b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
            if len(self._known) < REMEMBERED:
                self._known[kind, origin] = known
        return known

    def _card(self, origin: str) -> JsonObject:
        info = self._info
        description = str(info.get("description") or info.get("title") or info["name"])
        optional = {"title": info.get("title"), "websiteUrl": info.get("websiteUrl"), "icons": info.get("icons")}
        remote = {
            "type": "streamable-http",
            "url": f"{origin}{self._path}",
            "supportedProtocolVersions": list(SUPPORTED),
        }
        return {
            "$schema": CARD_SCHEMA,
            "name": f"{namespace(origin)}/{info['name']}",
            "version": info["version"],
            "description": description[:MOST_DESCRIPTION],
            **{name: value for name, value in optional.items() if value},
            "remotes": [remote],
        }

    def _catalogue(self, origin: str) -> JsonObject:
        host = origin.partition("://")[2]
        entry = {
            "identifier": f"urn:air:{host}:mcp:{self._info['name']}",
            "type": CARD_TYPE.decode(),
            "url": f"{origin}{self._path}/server-card",
        }
        return {"specVersion": "1.0", "entries": [entry]}

    def _origin(self, scope: Scope) -> str:
        """The origin that clients use, with the application's root path."""
        if self._public_url is not None:
            return self._public_url
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "localhost")
        return f"{scope['scheme']}://{host.strip(BLANKS)}{scope.get('root_path') or ''}"


def namespace(origin: str) -> str:
    """The host of an origin the other way round, as names in registries begin: ``com.example.mcp``."""
    host = origin.partition("://")[2].partition("/")[0]
    host = host if host.startswith("[") else host.partition(":")[0]
    named = host.replace("-", "").replace(".", "").isalnum() and not host.replace(".", "").isdigit()
    return ".".join(reversed(host.lower().split("."))) if named else "localhost"


def _tags(scope: Scope) -> set[bytes]:
    given = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    return {tag.strip().removeprefix(b"W/") for tag in given.split(b",")}


async def _send(send: Send, status: int, headers: list[Header], body: bytes | None) -> None:
    """``None`` is an answer that has no body by its status."""
    if body is not None:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body or b""})

"""Small requests to authorization servers: JSON or a form out, JSON in, bounded in size and time, no redirects.

What must never stand here: which URL may be asked (guard.py), what an answer means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from mcpkit.client.errors import AuthorizationFailed, ClientError, ProtocolViolation
from mcpkit.client.http import HttpCarrier, HttpRequest, read_body
from mcpkit.client.oauth.guard import Guard
from mcpkit.client.transports.resumption import content_type
from mcpkit.client.urls import origin_text
from mcpkit.jsonrpc.codec import encode, load
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.jsonrpc.messages import JsonObject

_LARGEST: Final = 256 * 1024
_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer read whole; ``json`` is empty where there was none."""

    status: int
    headers: Mapping[str, str]
    json: JsonObject

    @property
    def ok(self) -> bool:
        """It worked."""
        return 200 <= self.status < 300

    @property
    def error(self) -> str:
        """The OAuth error code, fit to be shown; the HTTP status where there is none."""
        code = self.json.get("error")
        known = isinstance(code, str) and code.isascii() and code.isprintable() and len(code) <= 60
        return code if isinstance(code, str) and known else f"HTTP {self.status}"


class Exchanges:
    """Requests about authorization, for one MCP server."""

    def __init__(self, carrier: HttpCarrier, guard: Guard) -> None:
        self._carrier = carrier
        self._guard = guard

    async def get(self, url: str, what: str) -> Reply:
        """Fetch a document. ``what`` names it in errors."""
        return await self._send("GET", url, what, {}, None)

    async def post_json(self, url: str, what: str, value: JsonObject) -> Reply:
        """Send a JSON object."""
        return await self._send("POST", url, what, {"Content-Type": "application/json"}, encode(value))

    async def post_form(self, url: str, what: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        """Send a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._send("POST", url, what, {**kind, **headers}, urlencode(form).encode())

    def trusting(self) -> Exchanges:
        """The same, for URLs that the user has configured: they may lie inward."""
        return Exchanges(self._carrier, self._guard.inward())

    async def allowed(self, url: Any, what: str) -> str:
        """The URL, if it may be used.

        Raises: AuthorizationFailed.
        """
        if not isinstance(url, str):
            raise AuthorizationFailed(f"{what} is missing")
        return await self._guard.check(url, what)

    async def _send(self, method: str, url: str, what: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        addresses = await self._guard.addresses(url, what)
        fields = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._carrier.send(HttpRequest(method, url, fields, body, addresses))
                text = await read_body(answer, _LARGEST)
        except TimeoutError:
            raise AuthorizationFailed(f"{what}: {origin_text(url)} did not answer in time") from None
        except ProtocolViolation as error:
            raise AuthorizationFailed(f"{what}: {error}") from error
        except ClientError as error:
            raise AuthorizationFailed(f"{what}: {error}") from error
        return Reply(answer.status, answer.headers, _object(text) if "json" in content_type(answer) else {})


def _object(text: bytes) -> JsonObject:
    try:
        value = load(text)
    except RpcError:
        return {}
    return value if isinstance(value, dict) else {}

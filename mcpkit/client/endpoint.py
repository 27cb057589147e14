"""An MCP endpoint over HTTP: every request authorized, redirects followed only at home, refusals turned into errors.

What must never stand here: how a token is come by (the authorizer's), JSON-RPC, sessions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from mcpkit.client.bodies import secrets_in, told
from mcpkit.client.deadline import paused
from mcpkit.client.errors import AuthorizationFailed, HttpRefused
from mcpkit.client.http import HttpAnswer, HttpCarrier, HttpRequest, read_beginning
from mcpkit.client.urls import origin_text, resolve

_HOPS: Final = 3
_KEEPS_METHOD: Final = frozenset({307, 308})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Authorizer(Protocol):
    """Comes by what a server wants to see: a token, a proof."""

    async def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The header fields that authorize this very request.

        Raises: AuthorizationFailed.
        """

    async def challenged(self, request: HttpRequest, answer: HttpAnswer, attempt: int) -> bool:
        """The server refused (401 or 403): do what can be done; True when the request should be sent again.

        ``request`` has the header fields that were refused; ``attempt`` counts the refusals of this request before.

        Raises: AuthorizationFailed, which says why nothing can be done.
        """

    def context(self) -> str | None:
        """Whose answers these are: private cache entries are shared only within one context (CACHE-04)."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """A fixed token."""

    token: str

    async def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The token, on every request (FLOW-08)."""
        return {"Authorization": f"Bearer {self.token}"}

    async def challenged(self, request: HttpRequest, answer: HttpAnswer, attempt: int) -> bool:
        """There is no other token."""
        return False

    def context(self) -> str | None:
        """The token is the caller."""
        return self.token

    def __repr__(self) -> str:
        return "Bearer(…)"


class Endpoint:
    """Where requests go; ``headers`` are the application's own, sent with every one."""

    def __init__(
        self,
        url: str,
        carrier: HttpCarrier,
        *,
        headers: Mapping[str, str] | None = None,
        auth: Authorizer | None = None,
    ) -> None:
        self.url = url
        self._carrier = carrier
        self._headers = _merged({"Accept-Encoding": "identity"}, headers or {})
        self._auth = auth
        self._sent: HttpRequest | None = None
        """The newest request, with its credentials: no message may repeat them."""

    async def send(
        self,
        method: str,
        headers: Mapping[str, str],
        body: Callable[[], bytes] | None = None,
        *,
        url: str | None = None,
    ) -> HttpAnswer:
        """Send to ``url`` (of the same origin; this endpoint's where None) and return the answer, its body unread.

        ``body`` is asked again for each attempt, so that a replayed request gets a new id (FLOW-12).

        Raises: AuthorizationFailed, HttpRefused for a redirect that is not followed, and what the carrier raises.
        """
        for attempt in itertools.count():
            fields = _merged(self._headers, headers)
            request = HttpRequest(method, url or self.url, fields, body() if body is not None else None)
            request, answer = await self._send_home(request)
            if answer.status not in {401, 403}:
                return answer
            await self._challenged(request, answer, attempt)
        raise AssertionError("unreachable")

    def told(self, body: bytes, kind: str) -> str:
        """What the body of a refusal says, in a short line that may be shown and holds no credentials of ours."""
        return told(body, kind, secrets_in(self._sent.headers, self._sent.url) if self._sent is not None else ())

    async def close(self) -> None:
        """Give up the connections."""
        await self._carrier.close()

    async def _send_home(self, request: HttpRequest) -> tuple[HttpRequest, HttpAnswer]:
        for _ in range(_HOPS):
            sent = request if self._auth is None else await self._authorized(request, self._auth)
            self._sent = sent
            answer = await self._carrier.send(sent)
            if answer.status not in _REDIRECTS:
                return sent, answer
            await answer.close()
            request = replace(request, url=_followed(request, answer))
        raise HttpRefused(answer.status, f"{origin_text(request.url)} redirects in circles")

    async def _authorized(self, request: HttpRequest, auth: Authorizer) -> HttpRequest:
        with paused():
            return replace(request, headers=_merged(request.headers, await auth.headers(request)))

    async def _challenged(self, request: HttpRequest, answer: HttpAnswer, attempt: int) -> None:
        try:
            with paused():  # a user may have to sign in
                again = self._auth is not None and await self._auth.challenged(request, answer, attempt)
            said = "" if again else await self._said(answer)
        except AuthorizationFailed as error:
            if error.asks_server and (said := await self._said(answer)):
                error.args = (f"{error}; it says: {said}",)
            raise
        finally:
            await answer.close()
        if not again:
            known = self._auth is not None or any(_is_credential(name) for name in self._headers)
            text = _refusal(answer.status, known=known, url=request.url)
            challenged = "www-authenticate" in answer.headers
            raise AuthorizationFailed(f"{text}: {said}" if said else text, challenged=challenged)

    async def _said(self, answer: HttpAnswer) -> str:
        body = await read_beginning(answer)
        return self.told(body, answer.headers.get("content-type", "").partition(";")[0].strip().lower())


def _is_credential(name: str) -> bool:
    return any(word in name.lower() for word in ("authorization", "key", "token", "cookie"))


def _merged(fields: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Both; what both name, in whatever case, is said once and as ``more`` says it."""
    named = set(map(str.lower, more))
    return {**{name: value for name, value in fields.items() if name.lower() not in named}, **more}


def _followed(request: HttpRequest, answer: HttpAnswer) -> str:
    """Where a redirect leads, when it may be followed: within the origin, and without losing the body (TCLI-03)."""
    if request.method != "GET" and answer.status not in _KEEPS_METHOD:
        raise HttpRefused(
            answer.status, f"{origin_text(request.url)} redirects a POST in a way that would lose its body"
        )
    try:
        return resolve(request.url, answer.headers.get("location", ""))
    except ValueError as error:
        raise HttpRefused(answer.status, f"the redirect is not followed: {error}") from None


def _refusal(status: int, *, known: bool, url: str) -> str:
    if known:
        return f"{origin_text(url)} refuses these credentials (HTTP {status})"
    if status == 401:
        return (
            f'{origin_text(url)} wants authorization: auth="TOKEN" sends a token, '
            'headers={"X-API-Key": "KEY"} a key, auth=OAuth() lets the user sign in'
        )
    return f"{origin_text(url)} refuses this client (HTTP 403)"

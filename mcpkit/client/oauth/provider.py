"""Authorization as a client has it: a token on every request, and what to do when the server refuses one.

One flow at a time, however many requests wait for it; a bounded number of them; everything kept by issuer. What must
never stand here: how a grant goes (grants.py), what the metadata says (discovery.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.client.background import log
from mcpkit.client.endpoint import Authorizer
from mcpkit.client.errors import AuthorizationFailed, Timeout
from mcpkit.client.http import HttpAnswer, HttpCarrier, HttpRequest, HttpxCarrier
from mcpkit.client.http_lanes import LaneCarrier
from mcpkit.client.oauth import crypto
from mcpkit.client.oauth.challenge import Challenge, challenge_in
from mcpkit.client.oauth.discovery import Ground, find_ground
from mcpkit.client.oauth.errand import Errand, Proofs
from mcpkit.client.oauth.exchange import Exchanges
from mcpkit.client.oauth.grants import AuthorizationCode, Grant
from mcpkit.client.oauth.guard import Guard
from mcpkit.client.oauth.tokens import MemoryStore, Tokens, TokenStore, Vault
from mcpkit.client.urls import same_issuer, same_origin

_STEPS: Final = 2
"""Further consents that are asked for one set of scopes; with the first that makes three (STEP-07)."""
_ATTEMPTS: Final = 4
"""Refusals of one request after which nothing more is tried."""
_OFFLINE: Final = "offline_access"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user allows."""

    scopes: tuple[str, ...] = ()
    """Asked for at first, where the server itself does not say which it needs."""
    legacy: bool = True
    """Servers of 2025-03-26 give out their own tokens and publish nothing about themselves."""
    inward: bool | None = None
    """Authorization servers may have private addresses; None: where the MCP server has one itself."""
    dpop: bool | None = None
    """Bind tokens to a key; None: where the authorization server offers it and the extra ``auth`` is installed."""


@dataclass(slots=True)
class _State:
    """What is known about one MCP server."""

    url: str
    vault: Vault
    guard: Guard
    tokens: Tokens | None = None
    issuer: str | None = None
    ground: Ground | None = None
    loaded: bool = False
    steps: Counter[frozenset[str]] = field(default_factory=Counter)


class OAuth(Authorizer):
    """OAuth 2.1 for one MCP server: ``MCPClient(url, auth=OAuth())``.

    ``grant`` is how tokens are come by, a user's consent by default; ``store`` where they are kept; ``http`` an httpx
    client or HttpCarrier of the application's own.
    """

    def __init__(
        self,
        grant: Grant | None = None,
        *,
        store: TokenStore | None = None,
        rules: Rules | None = None,
        http: Any = None,
    ) -> None:
        self._grant = grant or AuthorizationCode()
        self._store = store or MemoryStore()
        self._rules = rules or Rules()
        self._http = http
        self._proofs = Proofs()
        self._state: _State | None = None
        self._flow: asyncio.Task[None] | None = None
        self._context = secrets.token_hex(8)

    def context(self) -> str | None:
        """Whose answers these are."""
        return self._context

    async def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The token, where there is one that has not expired."""
        state = await self._known(request.url)
        if not same_origin(request.url, state.url):
            return {}  # FLOW-13
        if state.tokens is not None and state.tokens.expired and state.tokens.refresh_token is not None:
            with contextlib.suppress(AuthorizationFailed):  # the server's refusal then starts over
                await self._alone(self._refresh(state))
        if state.tokens is None:
            return {}
        token = state.tokens
        fields = {"Authorization": f"{token.token_type} {token.access_token}"}
        if token.token_type != "DPoP":
            return fields
        return {**fields, **self._proofs.header(request.method, request.url, token.access_token, request.body)}

    async def challenged(self, request: HttpRequest, answer: HttpAnswer, attempt: int) -> bool:
        """Get a token, a better one, or a proof with the nonce that the server wants."""
        state, challenge = await self._known(request.url), challenge_in(answer.headers)
        peer = getattr(answer, "peer", None)
        if isinstance(peer, str):
            state.guard.connected(peer)
        if attempt >= _ATTEMPTS or (answer.status == 403 and challenge.error != "insufficient_scope"):
            return False
        if answer.status == 401 and self._proofs.key is not None and self._proofs.heard(request.url, answer.headers):
            return True
        used = request.headers.get("Authorization", "").partition(" ")[2]
        if state.tokens is not None and used != state.tokens.access_token:
            return True  # another request has already come by a new one
        if answer.status == 403:
            self._count_step(state, challenge)
        await self._alone(self._authorize(state, challenge, stepping=answer.status == 403))
        return True

    # ── flows ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _authorize(self, state: _State, challenge: Challenge, *, stepping: bool) -> None:
        carrier = self._carrier()
        try:
            exchanges = Exchanges(carrier, state.guard)
            prefer = self._grant.issuer or state.issuer
            ground = await find_ground(exchanges, state.url, challenge, prefer=prefer, legacy=self._rules.legacy)
            await self._moved(state, ground)
            errand = Errand(exchanges, state.vault, ground, self._scopes(state, ground, challenge), self._proofs)
            self._bind(ground)
            tokens = None if stepping else await self._refreshed(state, errand)
            await self._keep(state, ground, tokens or await self._grant.obtain(errand))
        finally:
            await self._close(carrier)

    async def _refresh(self, state: _State) -> None:
        """Renew a token that is about to expire, where that needs no new discovery."""
        if state.ground is None or state.tokens is None:
            return
        carrier = self._carrier()
        try:
            exchanges = Exchanges(carrier, state.guard)
            errand = Errand(exchanges, state.vault, state.ground, state.tokens.scopes, self._proofs)
            tokens = await self._refreshed(state, errand)
            if tokens is not None:
                await self._keep(state, state.ground, tokens)
        finally:
            await self._close(carrier)

    async def _refreshed(self, state: _State, errand: Errand) -> Tokens | None:
        """New tokens for the old refresh token; None where there is none or it is worth nothing any more."""
        old = state.tokens
        if old is None or old.refresh_token is None:
            return None
        try:
            return old.renewed(await self._grant.refresh(errand, old.refresh_token))
        except AuthorizationFailed as error:
            log.info("the token could not be refreshed: %s", error)
            await state.vault.forget_tokens(errand.ground.server.issuer)
            state.tokens = None
            return None

    async def _keep(self, state: _State, ground: Ground, tokens: Tokens) -> None:
        state.tokens, state.ground, state.issuer = tokens, ground, ground.server.issuer
        await state.vault.keep_tokens(ground.server.issuer, tokens)

    async def _moved(self, state: _State, ground: Ground) -> None:
        """The server trusts another issuer now: nothing of the old one's is used any more (ADIS-07)."""
        issuer = ground.server.issuer
        if self._grant.issuer is not None and not same_issuer(issuer, self._grant.issuer):
            raise AuthorizationFailed(
                f"the server trusts {issuer}, but the client's credentials are for another issuer"
            )
        if state.issuer is not None and not same_issuer(issuer, state.issuer):
            await state.vault.forget_tokens(state.issuer)
            state.tokens = None

    def _scopes(self, state: _State, ground: Ground, challenge: Challenge) -> tuple[str, ...]:
        """What to ask for: what the server says it needs, else all it knows; never less than before (STEP-06/08)."""
        before = state.tokens.scopes if state.tokens is not None else ()
        needed = challenge.scopes or (() if before else ground.scopes) or self._rules.scopes
        lasting = (_OFFLINE,) if self._grant.keeps_access and _OFFLINE in ground.server.scopes_supported else ()
        return tuple(dict.fromkeys((*before, *needed, *lasting)))

    def _bind(self, ground: Ground) -> None:
        """Have a key for proofs, where tokens are to be bound to one."""
        offered = crypto.ProofKey.ALGORITHM in ground.server.dpop_algorithms
        wanted = self._rules.dpop if self._rules.dpop is not None else offered and crypto.available()
        if wanted and self._proofs.key is None:
            self._proofs.key = crypto.ProofKey()

    def _count_step(self, state: _State, challenge: Challenge) -> None:
        wanted = frozenset(challenge.scopes)
        state.steps[wanted] += 1
        if state.steps[wanted] > _STEPS:
            raise AuthorizationFailed(
                f"the server keeps asking for more access: {' '.join(sorted(wanted)) or 'unsaid'}"
            )

    # ── around them ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _alone(self, work: Any) -> None:
        """Run the flow, or wait for the one that runs; who stops waiting does not stop it (FLOW-12)."""
        if self._flow is None or self._flow.done():
            self._flow = asyncio.get_running_loop().create_task(work, name="mcpkit: authorize")
            self._flow.add_done_callback(_retrieved)
        else:
            work.close()
        try:
            await asyncio.shield(self._flow)
        except asyncio.CancelledError:
            if self._flow.cancelled():
                raise Timeout("the authorization was given up") from None
            raise

    async def _known(self, url: str) -> _State:
        if self._state is None:
            url = url.partition("#")[0].partition("?")[0]
            self._state = _State(url, Vault(self._store, url), Guard(url, self._rules.inward))
        state = self._state
        if not state.loaded:
            state.loaded = True
            state.issuer = await state.vault.issuer()
            state.tokens = await state.vault.tokens(state.issuer) if state.issuer is not None else None
            if state.tokens is not None and state.tokens.token_type == "DPoP":
                state.tokens = None  # bound to a key that is gone
        return state

    def _carrier(self) -> HttpCarrier:
        if self._http is None:
            return LaneCarrier()
        return self._http if isinstance(self._http, HttpCarrier) else HttpxCarrier(self._http)

    async def _close(self, carrier: HttpCarrier) -> None:
        if carrier is not self._http:
            await carrier.close()


def _retrieved(task: asyncio.Task[None]) -> None:
    """Its failure is told to those who wait; nobody waiting is no news."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()

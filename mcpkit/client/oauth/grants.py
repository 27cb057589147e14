"""The ways to come by tokens: a user's consent, the client's own credentials, a workload's identity, an enterprise's.

What must never stand here: when tokens are needed (provider.py), discovery.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.code_flow import Attempt, require_pkce
from mcpkit.client.oauth.crypto import assertion
from mcpkit.client.oauth.discovery import require_page
from mcpkit.client.oauth.errand import ASSERTION_TYPE, Errand
from mcpkit.client.oauth.redirect import LoopbackRedirect, Redirect
from mcpkit.client.oauth.registration import About, registered
from mcpkit.client.oauth.tokens import Registration, Tokens
from mcpkit.client.urls import same_issuer

_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_JAG: Final = "urn:ietf:params:oauth:token-type:id-jag"
_ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"

Secret: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A secret, or a function that brings it when it is needed (workload tokens don't live long)."""


class Grant(Protocol):
    """One way to come by tokens."""

    @property
    def issuer(self) -> str | None:
        """The only authorization server whose tokens are wanted, where that is known beforehand."""

    @property
    def keeps_access(self) -> bool:
        """Access should outlast the first token, so a refresh token is wanted."""

    async def obtain(self, errand: Errand) -> Tokens:
        """New tokens.

        Raises: AuthorizationFailed, Timeout.
        """

    async def refresh(self, errand: Errand, refresh_token: str) -> Tokens:
        """New tokens for an old refresh token.

        Raises: AuthorizationFailed.
        """


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A user consents in a browser."""

    about: About = field(default_factory=About)
    redirect: Redirect = field(default_factory=LoopbackRedirect)

    @property
    def issuer(self) -> str | None:
        """That of a registration made beforehand."""
        return self.about.known.issuer if self.about.known is not None else None

    @property
    def keeps_access(self) -> bool:
        """The user should not be asked each hour."""
        return True

    async def obtain(self, errand: Errand) -> Tokens:
        """Send the user out, check what comes back, exchange the code."""
        require_pkce(errand.ground)
        await require_page(errand.exchanges, errand.ground)
        server = errand.ground.server
        await errand.exchanges.allowed(server.authorization_endpoint, "the authorization endpoint")
        async with self.redirect.open() as consent:
            registration = await registered(
                errand.exchanges, errand.vault, errand.ground, self.about, consent.redirect_uri
            )
            attempt = Attempt.new(server)
            url = attempt.url(errand.ground, registration.client_id, consent.redirect_uri, errand.scopes)
            code = attempt.code_from(await consent.ask(url))
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": consent.redirect_uri,
                "code_verifier": attempt.verifier,
                "resource": errand.ground.resource,
            }
            try:
                return await errand.tokens_for(form, registration)
            except AuthorizationFailed:
                await errand.vault.forget_registration(server.issuer)  # it may be what is wrong
                raise

    async def refresh(self, errand: Errand, refresh_token: str) -> Tokens:
        """Without the user."""
        issuer = errand.ground.server.issuer
        known = self.about.known or await errand.vault.registration(issuer)
        if known is None and self.about.metadata_url is not None:
            known = Registration(self.about.metadata_url, auth_method="none")
        if known is None or (known.issuer is not None and not same_issuer(known.issuer, issuer)):
            raise AuthorizationFailed("the client is not registered with the issuer of its refresh token")
        return await errand.tokens_for(_refresh_form(errand, refresh_token), known)


class _WithoutUser:
    """What the grants of programs have in common: they can always ask anew."""

    @property
    def issuer(self) -> str | None:
        """Any that the server trusts."""
        return None

    @property
    def keeps_access(self) -> bool:
        """There is nobody to bother."""
        return False

    async def refresh(self, errand: Errand, refresh_token: str) -> Tokens:
        """Never needed."""
        raise AuthorizationFailed("this grant has no refresh tokens")


class ClientCredentials(_WithoutUser):
    """The client itself is authorized, by a secret or, better, by a signed assertion (XAUTH-02).

    Give ``issuer`` where it is known: the credentials are then never shown to another, whatever the server names.
    """

    def __init__(
        self,
        client_id: str,
        *,
        secret: str | None = None,
        private_key: str | None = None,
        algorithm: str = "ES256",
        issuer: str | None = None,
    ) -> None:
        if (secret is None) == (private_key is None):
            raise ValueError("client credentials are either a secret or a private key")
        self._registration = Registration(client_id, secret, issuer=issuer)
        self._private_key = private_key
        self._algorithm = algorithm

    @property
    def issuer(self) -> str | None:
        """The one that the client is registered with."""
        return self._registration.issuer

    async def obtain(self, errand: Errand) -> Tokens:
        """Ask for a token of the client's own."""
        form = {"grant_type": "client_credentials", **errand.about_access()}
        if self._private_key is None:
            return await errand.tokens_for(form, self._registration)
        issuer = errand.ground.server.issuer
        signed = assertion(self._registration.client_id, issuer, self._private_key, self._algorithm)
        return await errand.tokens(form, {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}, {})


class WorkloadIdentity(_WithoutUser):
    """A platform vouches for the program with a JWT of its own (XAUTH-08)."""

    def __init__(self, client_id: str, jwt: Secret) -> None:
        self._client_id = client_id
        self._jwt = jwt

    async def obtain(self, errand: Errand) -> Tokens:
        """Show the platform's JWT."""
        form = {"grant_type": _JWT_BEARER, "assertion": await _told(self._jwt), **errand.about_access()}
        return await errand.tokens(form, {"client_id": self._client_id}, {})


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Where an enterprise's users sign in, and who the client is there."""

    token_endpoint: str
    client_id: str
    id_token: Secret
    """Of the user who is signed in."""
    client_secret: str | None = None


class EnterpriseManaged(_WithoutUser):
    """The enterprise's identity provider decides, no consent is asked: an ID-JAG is exchanged (XAUTH-04, XAUTH-05)."""

    def __init__(
        self, client_id: str, client_secret: str | None, provider: IdentityProvider, *, issuer: str | None = None
    ) -> None:
        self._registration = Registration(client_id, client_secret, issuer=issuer)
        self._provider = provider

    @property
    def issuer(self) -> str | None:
        """The one that the client is registered with."""
        return self._registration.issuer

    async def obtain(self, errand: Errand) -> Tokens:
        """Have the identity provider vouch for the user, then show that."""
        form = {"grant_type": _JWT_BEARER, "assertion": await self._vouched(errand)}
        scope = {"scope": " ".join(errand.scopes)} if errand.scopes else {}
        return await errand.tokens_for({**form, **scope}, self._registration)

    async def _vouched(self, errand: Errand) -> str:
        provider = self._provider
        form = {
            "grant_type": _EXCHANGE,
            "requested_token_type": _ID_JAG,
            "audience": errand.ground.server.issuer,
            "subject_token": await _told(provider.id_token),
            "subject_token_type": _ID_TOKEN,
            "client_id": provider.client_id,
            **errand.about_access(),
        }
        if provider.client_secret is not None:
            form["client_secret"] = provider.client_secret
        exchanges = errand.exchanges.trusting()
        reply = await exchanges.post_form(provider.token_endpoint, "the identity provider's token request", form, {})
        token = reply.json.get("access_token")
        if not reply.ok or not isinstance(token, str):
            raise AuthorizationFailed(f"the identity provider does not vouch for the user: {reply.error}")
        if reply.json.get("issued_token_type") != _ID_JAG:
            raise AuthorizationFailed("the identity provider answered with another kind of token")
        return token


def _refresh_form(errand: Errand, refresh_token: str) -> dict[str, str]:
    return {"grant_type": "refresh_token", "refresh_token": refresh_token, "resource": errand.ground.resource}


async def _told(secret: Secret) -> str:
    if isinstance(secret, str):
        return secret
    told = secret()
    return await told if inspect.isawaitable(told) else told

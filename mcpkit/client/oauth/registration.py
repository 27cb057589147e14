"""Who the client is to an authorization server: known beforehand, by a document of its own, or registered now.

What must never stand here: what it then asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.discovery import Ground
from mcpkit.client.oauth.exchange import Exchanges
from mcpkit.client.oauth.metadata import ServerMetadata
from mcpkit.client.oauth.tokens import Registration, Vault
from mcpkit.client.urls import origin_text, same_issuer
from mcpkit.jsonrpc.messages import JsonObject

_METHODS: Final = ("client_secret_basic", "client_secret_post", "none")
"""How this client can authenticate, the best first."""


@dataclass(frozen=True, slots=True)
class About:
    """What the client says when it is registered."""

    client_name: str = "mcpkit"
    known: Registration | None = None
    """Registered beforehand: beats every other way (REG-01)."""
    metadata_url: str | None = None
    """An https URL where the client publishes a document about itself, which then is its id (REG-02)."""
    application_type: str = "native"
    """``native`` for programs on the user's machine, ``web`` for sites (REG-04)."""
    extra: JsonObject = field(default_factory=dict)
    """Further members of the registration (``client_uri``, ``logo_uri``, ``software_id`` …)."""

    def __post_init__(self) -> None:
        if self.metadata_url is not None:
            parts = urlsplit(self.metadata_url)
            if parts.scheme != "https" or not parts.path.strip("/"):
                raise ValueError("the URL of the client's metadata document must be https and have a path")


async def registered(
    exchanges: Exchanges, vault: Vault, ground: Ground, about: About, redirect_uri: str
) -> Registration:
    """The registration to use with this issuer (REG-01).

    Raises: AuthorizationFailed when there is no way to have one.
    """
    issuer = ground.server.issuer
    if about.known is not None:
        if about.known.issuer is not None and not same_issuer(about.known.issuer, issuer):
            raise AuthorizationFailed(
                f"the client is registered with {about.known.issuer}, but the server now trusts {issuer}"
            )
        return about.known
    if ground.server.takes_metadata_documents and about.metadata_url is not None:
        return Registration(about.metadata_url, auth_method="none")
    kept = await vault.registration(issuer)
    if kept is not None and kept.redirect_uri in (None, redirect_uri):
        return kept
    fresh = await _register(exchanges, ground, about, redirect_uri)
    await vault.keep_registration(issuer, fresh)
    return fresh


async def _register(exchanges: Exchanges, ground: Ground, about: About, redirect_uri: str) -> Registration:
    """Dynamic client registration (RFC 7591)."""
    server = ground.server
    if server.registration_endpoint is None:
        raise AuthorizationFailed(
            f"{origin_text(server.issuer)} registers no clients by itself: give the client a client_id for it"
        )
    method = chosen_method(server, None, has_secret=True)
    wanted = {
        "client_name": about.client_name,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
        "application_type": about.application_type,
        **about.extra,
    }
    reply = await exchanges.post_json(server.registration_endpoint, "client registration", wanted)
    client_id, secret = reply.json.get("client_id"), reply.json.get("client_secret")
    if not reply.ok or not isinstance(client_id, str):
        raise AuthorizationFailed(f"{origin_text(server.issuer)} did not register the client: {reply.error}")
    given = reply.json.get("token_endpoint_auth_method")
    return Registration(
        client_id,
        secret if isinstance(secret, str) else None,
        given if isinstance(given, str) else method,
        server.issuer,
        redirect_uri,
    )


def chosen_method(server: ServerMetadata, registration: Registration | None, *, has_secret: bool) -> str:
    """How to authenticate at the token endpoint (REG-08): as registered, if the server lists that at all.

    Raises: AuthorizationFailed when there is no way that both know.
    """
    offered = server.auth_methods or ("client_secret_basic", "client_secret_post", "none")
    agreed = registration.auth_method if registration is not None else None
    if agreed in offered and agreed in _METHODS and (has_secret or agreed == "none"):
        return str(agreed)
    usable = [method for method in _METHODS if method in offered and (has_secret or method == "none")]
    if usable:
        return usable[0]
    if not has_secret and registration is not None:
        return "none"  # a public client: all it has is its name
    raise AuthorizationFailed(f"{origin_text(server.issuer)} authenticates clients in no way that this one knows")

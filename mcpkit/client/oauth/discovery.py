"""From an MCP server's refusal to the metadata of the server that gives out tokens for it (ADIS-01 to 07, AUTHB-02).

What must never stand here: registration, tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.challenge import Challenge
from mcpkit.client.oauth.exchange import Exchanges
from mcpkit.client.oauth.metadata import ResourceMetadata, ServerMetadata
from mcpkit.client.urls import origin_text, same_issuer, same_origin, split_http

_RESOURCE = "/.well-known/oauth-protected-resource"
_OAUTH = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"


_NO_PAGE = frozenset({401, 403, 404, 405, 501})
"""How a server answers for a page that it does not have, or that wants the very key that is missing."""


class NoSignIn(AuthorizationFailed):
    """The server wants authorization, and there is nowhere to get it: it wants a key that was given out otherwise."""

    asks_server = True


@dataclass(frozen=True, slots=True)
class Ground:
    """Where authorization happens: what is protected, and who gives out tokens for it."""

    server: ServerMetadata
    resource: str
    scopes: tuple[str, ...] = ()
    """All that the resource knows."""
    legacy: bool = False
    """The server publishes nothing about itself: its own origin gives out the tokens, as in 2025-03-26."""
    guessed: bool = field(default=False, compare=False)
    """Nor does its origin publish anything: where its endpoints are is a guess."""


async def find_ground(
    exchanges: Exchanges, url: str, challenge: Challenge, *, prefer: str | None, legacy: bool
) -> Ground:
    """Who gives out tokens for the MCP server at ``url``; of several, the issuer to ``prefer``.

    Raises: AuthorizationFailed.
    """
    resource = await _resource_metadata(exchanges, url, challenge)
    if resource is None:
        if not legacy:
            raise AuthorizationFailed(f"{origin_text(url)} wants authorization but does not say who gives it")
        published = await _legacy_server(exchanges, url)
        return Ground(published or _default_server(url), url, legacy=True, guessed=published is None)
    if not resource.covers(url):
        raise AuthorizationFailed(f"the metadata of {origin_text(url)} is about another resource")
    issuers = resource.authorization_servers
    issuer = next((one for one in issuers if same_issuer(one, prefer)), issuers[0])
    return Ground(await server_metadata(exchanges, issuer), resource.resource, resource.scopes_supported)


async def _resource_metadata(exchanges: Exchanges, url: str, challenge: Challenge) -> ResourceMetadata | None:
    """Named by the challenge, else at the well-known places: for the path, then for the origin."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    places = [_at(url, _RESOURCE + path)] if path else []
    places.append(_at(url, _RESOURCE))
    if challenge.resource_metadata is not None:
        places.insert(0, challenge.resource_metadata)
    for place in dict.fromkeys(places):
        reply = await exchanges.get(place, "the protected resource's metadata")
        if reply.status >= 500:
            raise AuthorizationFailed(f"the protected resource's metadata can't be had (HTTP {reply.status})")
        metadata = ResourceMetadata.parse(reply.json) if reply.ok else None
        if metadata is not None:
            return metadata
    return None


async def server_metadata(exchanges: Exchanges, issuer: str) -> ServerMetadata:
    """The metadata that an issuer publishes, which must name that issuer (ADIS-04), but for a final slash.

    Raises: AuthorizationFailed.
    """
    metadata = await _first(exchanges, _places(issuer))
    if metadata is None:
        raise AuthorizationFailed(f"the authorization server {origin_text(issuer)} publishes no metadata")
    if not same_issuer(metadata.issuer, issuer):
        raise AuthorizationFailed(f"the metadata of {origin_text(issuer)} names another issuer; it is not used")
    return metadata


async def require_page(exchanges: Exchanges, ground: Ground) -> None:
    """That there is a page to sign in at, where that is only a guess.

    Raises: NoSignIn.
    """
    page = ground.server.authorization_endpoint
    if not ground.guessed or page is None:
        return
    reply = await exchanges.get(page, "the authorization endpoint")
    if reply.status in _NO_PAGE:
        raise NoSignIn(
            f"{origin_text(ground.resource)} wants an API key or token, and offers no sign-in: "
            'auth="TOKEN" sends a token, headers={"X-API-Key": "KEY"} a key'
        )


def _default_server(url: str) -> ServerMetadata:
    """The endpoints of a server that publishes none (AUTHB-02)."""
    origin = origin_text(url)
    return ServerMetadata(origin, f"{origin}/authorize", f"{origin}/token", f"{origin}/register")


async def _legacy_server(exchanges: Exchanges, url: str) -> ServerMetadata | None:
    """What the MCP server's own origin publishes."""
    origin = origin_text(url)
    metadata = await _first(exchanges, [_at(url, _OAUTH)])
    if metadata is None:
        return None
    if not same_origin(metadata.issuer, url):
        raise AuthorizationFailed(f"the metadata of {origin} names another issuer; it is not used")
    return metadata


async def _first(exchanges: Exchanges, places: list[str]) -> ServerMetadata | None:
    for place in places:
        reply = await exchanges.get(place, "the authorization server's metadata")
        if reply.status >= 500:  # no silent step down to defaults (ADIS-06)
            raise AuthorizationFailed(f"the authorization server's metadata can't be had (HTTP {reply.status})")
        metadata = ServerMetadata.parse(reply.json) if reply.ok else None
        if metadata is not None:
            return metadata
    return None


def _places(issuer: str) -> list[str]:
    """Where an issuer's metadata may be, in order (ADIS-03)."""
    try:
        path = split_http(issuer).path.rstrip("/")
    except ValueError as error:
        raise AuthorizationFailed(f"the authorization server is refused: {error}") from None
    if not path:
        return [_at(issuer, _OAUTH), _at(issuer, _OPENID)]
    return [_at(issuer, _OAUTH + path), _at(issuer, _OPENID + path), _at(issuer, path + _OPENID)]


def _at(url: str, path: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

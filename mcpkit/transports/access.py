"""Authentication as the settings say it: an OAuth issuer, API keys, both, or none.

What must never stand here: how a token is checked (security/), HTTP answers (authentication.py).
"""

from __future__ import annotations

from mcpkit.security.bearer import AnyOf, TokenVerifier
from mcpkit.security.introspection import IntrospectionVerifier, asking
from mcpkit.security.jwks import KeySet
from mcpkit.security.jwt import JwtVerifier
from mcpkit.security.keys import ApiKeys, KeyFile, KeyStore
from mcpkit.security.resource import ProtectedResource
from mcpkit.settings import Settings, SettingsError
from mcpkit.transports.authentication import Authentication


def authentication_of(settings: Settings, shared_keys: KeyStore | None = None) -> Authentication | None:
    """Who is let in; None where anybody is. ``shared_keys`` are those that all replicas know.

    Raises: SettingsError when what is set does not make a whole.
    """
    _check_halves(settings)
    verifiers: list[TokenVerifier] = []
    if settings.api_keys_file is not None:  # first, for a key is known by its beginning
        verifiers.append(ApiKeys(KeyFile(settings.api_keys_file)))
    if shared_keys is not None:
        verifiers.append(ApiKeys(shared_keys))
    resource = None
    if settings.auth_issuer is not None:
        resource = resource_of(settings)
        verifiers.append(_verifier(settings, settings.auth_issuer, resource))
    if not verifiers:
        return None
    verifier = verifiers[0] if len(verifiers) == 1 else AnyOf(verifiers)
    return Authentication(
        verifier, resource=resource, scopes=settings.auth_scopes, stream_seconds=settings.auth_stream_seconds
    )


def check_one_authentication(by: str, given: object, settings: Settings) -> None:
    """Check that callers are identified in one way: ``by`` what a program ``given`` has given, or by the settings.

    Raises: ValueError, naming both.
    """
    if given is None or not settings.authenticated:
        return
    chosen = {
        "MCP_API_KEYS_FILE": settings.api_keys_file,
        "MCP_API_KEYS_REDIS": settings.api_keys_redis,
        "MCP_AUTH_ISSUER": settings.auth_issuer,
    }
    names = " and ".join(name for name, value in chosen.items() if value)
    raise ValueError(
        f"both {by} and {names} say who calls, and only one would be asked: leave one of them out "
        "(settings=Settings() takes nothing from the environment)"
    )


def resource_of(settings: Settings) -> ProtectedResource:
    """This server as the settings describe it to clients that look for its authorization server.

    Raises: SettingsError when they don't.
    """
    if settings.auth_issuer is None:
        raise SettingsError("Without MCP_AUTH_ISSUER there is no authorization server to tell of")
    if settings.auth_resource is None:
        raise SettingsError("MCP_AUTH_ISSUER needs MCP_AUTH_RESOURCE: the public URL of the MCP endpoint")
    return ProtectedResource(settings.auth_resource, [settings.auth_issuer], scopes=settings.auth_scopes)


def _check_halves(settings: Settings) -> None:
    """Refuse what is only a part of OAuth: whoever set it takes the server for closed. Raises: SettingsError."""
    halves = {
        "MCP_AUTH_RESOURCE": settings.auth_resource,
        "MCP_AUTH_JWKS_URL": settings.auth_jwks_url,
        "MCP_AUTH_INTROSPECTION_URL": settings.auth_introspection_url,
        "MCP_AUTH_CLIENT_ID": settings.auth_client_id,
        "MCP_AUTH_CLIENT_SECRET": settings.auth_client_secret,
    }
    names = [name for name, value in halves.items() if value is not None]
    if names and settings.auth_issuer is None:
        raise SettingsError(f"{' and '.join(names)} without MCP_AUTH_ISSUER let everybody in: set it, or unset them")


def _verifier(settings: Settings, issuer: str, resource: ProtectedResource) -> TokenVerifier:
    if settings.auth_introspection_url is not None:
        name, secret = settings.auth_client_id, settings.auth_client_secret
        if name is None or secret is None:
            raise SettingsError("MCP_AUTH_INTROSPECTION_URL needs MCP_AUTH_CLIENT_ID and MCP_AUTH_CLIENT_SECRET")
        return IntrospectionVerifier(issuer, resource, asking(settings.auth_introspection_url, name, secret))
    if settings.auth_jwks_url is None:
        raise SettingsError("MCP_AUTH_ISSUER needs MCP_AUTH_JWKS_URL or MCP_AUTH_INTROSPECTION_URL")
    try:
        return JwtVerifier(issuer, resource, KeySet(settings.auth_jwks_url))
    except ImportError:
        raise SettingsError("MCP_AUTH_JWKS_URL needs one more package: pip install 'mcpkit[auth]'") from None

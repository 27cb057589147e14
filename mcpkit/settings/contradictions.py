"""Settings that say nothing beside the others that are set: each is told of at start, never silently without effect.

What must never stand here: how a setting is read, a setting that can't be used at all (that is a SettingsError).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from mcpkit.settings.table import Settings

HTTP_ONLY: Final = frozenset(
    {
        *("host", "port", "drain_seconds", "http_parser", "redis_url", "workers", "allowed_hosts", "allowed_origins"),
        *("auth_issuer", "auth_resource", "auth_jwks_url", "auth_introspection_url", "auth_client_id"),
        *("auth_client_secret", "auth_scopes", "auth_stream_seconds", "api_keys_file", "api_keys_redis"),
        *("metrics_token", "max_connections", "max_header_bytes", "max_header_fields"),
        *("max_uri_bytes", "header_seconds", "body_silence_seconds", "request_seconds", "max_sessions"),
        *("session_idle_seconds", "rate_per_second", "rate_burst", "max_streams", "max_caller_streams"),
        *("keep_alive_seconds", "send_seconds", "max_stored_events", "max_stored_bytes", "stored_seconds", "retry_ms"),
    }
)
"""What has a meaning for HTTP alone."""


def without_effect(settings: Settings, *, stdio: bool = False, metrics: bool = True) -> Iterator[str]:
    """What is set to no effect, a line each, with the fix.

    ``stdio``: the standard streams are served, not HTTP. ``metrics``: there is a page of metrics.
    """
    given = {each.name for each in fields(Settings) if getattr(settings, each.name) != each.default}
    if stdio:
        names = [_ENV[name] for name in _ENV if name in given & HTTP_ONLY]
        if names:
            yield f"{', '.join(names)}: over stdio this does nothing; it is for HTTP"
        return
    yield from _of_authentication(settings, given)
    if "rate_burst" in given and not settings.rate_per_second:
        yield "MCP_RATE_BURST does nothing without MCP_RATE_PER_SECOND"
    if settings.workers > 1 and settings.redis_url is None:
        yield "MCP_SERVER_WORKERS without MCP_SERVER_REDIS_URL: no sessions are kept, every call is for itself"
    if "metrics_token" in given and not metrics:
        yield "MCP_METRICS_TOKEN does nothing here: a router of an application has no /metrics, create_app has"


_ENV: Final = {each.name: str(each.metadata["env"]) for each in fields(Settings)}


def _of_authentication(settings: Settings, given: set[str]) -> Iterator[str]:
    if settings.auth_issuer is not None and settings.auth_introspection_url is not None and "auth_jwks_url" in given:
        yield "MCP_AUTH_JWKS_URL does nothing beside MCP_AUTH_INTROSPECTION_URL, which is asked: unset one of them"
    if settings.auth_issuer is not None and settings.auth_introspection_url is None:
        for name in sorted(given & {"auth_client_id", "auth_client_secret"}):
            yield f"{_ENV[name]} does nothing without MCP_AUTH_INTROSPECTION_URL"
    if not settings.authenticated:
        for name in sorted(given & {"auth_scopes", "auth_stream_seconds", "max_caller_streams"}):
            yield f"{_ENV[name]} does nothing without MCP_AUTH_ISSUER or API keys: nobody says who calls"

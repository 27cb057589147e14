"""What a protected resource and an authorization server publish of themselves, checked as far as it is used.

What must never stand here: fetching it (discovery.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mcpkit.client.urls import same_origin
from mcpkit.jsonrpc.messages import JsonObject


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """Of the MCP server (RFC 9728)."""

    resource: str
    """Exactly as published: it is sent back so."""
    authorization_servers: tuple[str, ...]
    scopes_supported: tuple[str, ...] = ()

    @classmethod
    def parse(cls, document: JsonObject) -> ResourceMetadata | None:
        """The metadata in a document; None where it is none."""
        resource, servers = document.get("resource"), _texts(document.get("authorization_servers"))
        if not isinstance(resource, str) or not servers:
            return None
        return cls(resource, servers, _texts(document.get("scopes_supported")))

    def covers(self, server_url: str) -> bool:
        """The metadata is about this server: the same URL, or a parent of it at the same origin (ADIS-02)."""
        if not same_origin(self.resource, server_url) or urlsplit(self.resource).fragment:
            return False
        whole, part = urlsplit(server_url), urlsplit(self.resource)
        parent = part.path.rstrip("/")
        if part.query and part.query != whole.query:
            return False
        return whole.path.rstrip("/") == parent or whole.path.startswith(parent + "/")


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """Of an authorization server (RFC 8414, OpenID Connect Discovery)."""

    issuer: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    registration_endpoint: str | None = None
    scopes_supported: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] = ()
    """How clients may authenticate at the token endpoint; empty where it does not say."""
    challenge_methods: tuple[str, ...] | None = None
    """Of PKCE; None where it does not say."""
    takes_metadata_documents: bool = False
    names_issuer: bool = False
    """Its authorization responses carry ``iss``."""
    dpop_algorithms: tuple[str, ...] = ()

    @classmethod
    def parse(cls, document: JsonObject) -> ServerMetadata | None:
        """The metadata in a document; None where it is none."""
        issuer = document.get("issuer")
        if not isinstance(issuer, str):
            return None
        methods = document.get("code_challenge_methods_supported")
        return cls(
            issuer,
            _text(document.get("authorization_endpoint")),
            _text(document.get("token_endpoint")),
            _text(document.get("registration_endpoint")),
            _texts(document.get("scopes_supported")),
            _texts(document.get("token_endpoint_auth_methods_supported")),
            _texts(methods) if isinstance(methods, list) else None,
            document.get("client_id_metadata_document_supported") is True,
            document.get("authorization_response_iss_parameter_supported") is True,
            _texts(document.get("dpop_signing_alg_values_supported")),
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

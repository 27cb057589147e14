"""OAuth for clients: discovery, registration, consent, tokens, and the flows that need no user."""

from __future__ import annotations

from mcpkit.client.oauth.grants import (
    AuthorizationCode,
    ClientCredentials,
    EnterpriseManaged,
    Grant,
    IdentityProvider,
    WorkloadIdentity,
)
from mcpkit.client.oauth.provider import OAuth, Rules
from mcpkit.client.oauth.redirect import CustomRedirect, LoopbackRedirect, Redirect
from mcpkit.client.oauth.registration import About
from mcpkit.client.oauth.tokens import FileStore, MemoryStore, Registration, Tokens, TokenStore

__all__ = [
    "About",
    "AuthorizationCode",
    "ClientCredentials",
    "CustomRedirect",
    "EnterpriseManaged",
    "FileStore",
    "Grant",
    "IdentityProvider",
    "LoopbackRedirect",
    "MemoryStore",
    "OAuth",
    "Redirect",
    "Registration",
    "Rules",
    "TokenStore",
    "Tokens",
    "WorkloadIdentity",
]

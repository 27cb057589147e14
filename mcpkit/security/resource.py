"""The protected resource as it describes itself (RFC 9728), and how a token's audience is matched against it.

What must never stand here: HTTP, a request's Host header (the public URL is configuration, RS-04).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """This server as a resource: its public URL, who issues tokens for it, which scopes are worth asking for."""

    url: str
    """The MCP endpoint as users type it, such as ``https://mcp.example.com/api``."""
    authorization_servers: Sequence[str]
    scopes: Sequence[str] = field(default=())
    name: str | None = None
    documentation: str | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
            raise ValueError(f"the resource must be an http(s) URL without a fragment, not {self.url!r}")
        if not self.authorization_servers:
            raise ValueError("a protected resource names at least one authorization server")

    def document(self) -> dict[str, Any]:
        """The metadata document (RS-01)."""
        optional = {
            "scopes_supported": list(self.scopes) or None,
            "resource_name": self.name,
            "resource_documentation": self.documentation,
        }
        return {
            "resource": self.url,
            "authorization_servers": list(self.authorization_servers),
            "bearer_methods_supported": ["header"],
            **{name: value for name, value in optional.items() if value is not None},
        }

    @property
    def path(self) -> str:
        """The path of the well-known document that belongs to this URL (RFC 9728 §3.1)."""
        return WELL_KNOWN + urlsplit(self.url).path.rstrip("/")

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path it is served at: the URL's own and the origin's root (RS-03)."""
        return tuple(dict.fromkeys((self.path, WELL_KNOWN)))

    @property
    def metadata_url(self) -> str:
        """The absolute URL that a challenge names (RS-02)."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc, self.path, "", ""))

    def is_audience(self, audience: object) -> bool:
        """Whether a token's ``aud`` (text or list) names this resource (TOK-03, TOK-08)."""
        candidates = audience if isinstance(audience, list) else [audience]
        return any(
            isinstance(candidate, str) and canonical(candidate) == canonical(self.url) for candidate in candidates
        )


def canonical(url: str) -> str:
    """Scheme and host in lower case, one trailing slash forgiven; anything else must be equal."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(
        (parts.scheme.lower(), parts.netloc.lower(), parts.path.removesuffix("/"), parts.query, parts.fragment)
    )

"""What servers publish of themselves."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.oauth.metadata import ResourceMetadata, ServerMetadata


@pytest.mark.parametrize(
    ("resource", "server", "covers"),
    [
        ("https://h/mcp", "https://h/mcp", True),
        ("https://h/mcp/", "https://h/mcp", True),
        ("https://H:443/mcp", "https://h/mcp", True),
        ("https://h", "https://h/mcp", True),
        ("https://h/", "https://h/a/b", True),
        ("https://h/a", "https://h/a/b", True),
        ("https://h/a", "https://h/ab", False),
        ("https://h/a/b", "https://h/a", False),
        ("https://evil.example/mcp", "https://h/mcp", False),
        ("http://h/mcp", "https://h/mcp", False),
        ("https://h:8443/mcp", "https://h/mcp", False),
        ("https://h/mcp#x", "https://h/mcp", False),
        ("https://h/mcp?a=1", "https://h/mcp", False),
        ("https://h/mcp?a=1", "https://h/mcp?a=1", True),
        ("nonsense", "https://h/mcp", False),
    ],
)
def test_whom_it_is_about(resource: str, server: str, covers: bool) -> None:
    """ADIS-02: this server, or a parent of it; no other."""
    assert ResourceMetadata(resource, ("https://a",)).covers(server) is covers


@pytest.mark.parametrize(
    "document", [{}, {"resource": 5}, {"resource": "x"}, {"resource": "x", "authorization_servers": []}]
)
def test_what_is_no_resource_metadata(document: dict[str, Any]) -> None:
    """RS-01: both members are needed."""
    assert ResourceMetadata.parse(document) is None


def test_members_of_the_wrong_type() -> None:
    """They are as if they were not there."""
    parsed = ResourceMetadata.parse({"resource": "x", "authorization_servers": ["a", 5], "scopes_supported": "s"})
    assert parsed == ResourceMetadata("x", ("a",), ())
    assert ServerMetadata.parse({"issuer": 5}) is None
    odd = {
        "issuer": "i",
        "token_endpoint": 5,
        "code_challenge_methods_supported": "S256",
        "client_id_metadata_document_supported": "yes",
        "authorization_response_iss_parameter_supported": 1,
    }
    assert ServerMetadata.parse(odd) == ServerMetadata("i")


def test_server_metadata() -> None:
    """ADIS-05: that nothing is said of PKCE is not that nothing is supported."""
    full = {
        "issuer": "i",
        "authorization_endpoint": "a",
        "token_endpoint": "t",
        "registration_endpoint": "r",
        "scopes_supported": ["s"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": [],
        "client_id_metadata_document_supported": True,
        "authorization_response_iss_parameter_supported": True,
        "dpop_signing_alg_values_supported": ["ES256"],
    }
    assert ServerMetadata.parse(full) == ServerMetadata(
        "i", "a", "t", "r", ("s",), ("none",), (), True, True, ("ES256",)
    )

"""The protected resource's own description (RFC 9728)."""

from __future__ import annotations

import pytest

from mcpkit.security.resource import ProtectedResource

RESOURCE = ProtectedResource("https://mcp.example.com/api", ["https://login.example.com/t1"], scopes=["read"], name="N")


def test_the_document_names_resource_issuers_and_scopes() -> None:
    """RS-01, RS-04."""
    assert RESOURCE.document() == {
        "resource": "https://mcp.example.com/api",
        "authorization_servers": ["https://login.example.com/t1"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read"],
        "resource_name": "N",
    }


def test_it_is_found_at_the_urls_own_path_and_at_the_root() -> None:
    """RS-02, RS-03."""
    assert RESOURCE.paths == ("/.well-known/oauth-protected-resource/api", "/.well-known/oauth-protected-resource")
    assert RESOURCE.metadata_url == "https://mcp.example.com/.well-known/oauth-protected-resource/api"
    assert ProtectedResource("https://h", ["https://i"]).paths == ("/.well-known/oauth-protected-resource",)


@pytest.mark.parametrize(
    ("audience", "fits"),
    [
        ("https://mcp.example.com/api", True),
        ("HTTPS://MCP.example.com/api/", True),
        (["https://other", "https://mcp.example.com/api"], True),
        ("https://mcp.example.com", False),
        ("https://mcp.example.com/api/x", False),
        ("https://mcp.example.com/API", False),
        ("https://mcp.example.com.evil/api", False),
        ("https://[", False),
        (None, False),
        ([], False),
        ([3], False),
        ({"https://mcp.example.com/api": 1}, False),
    ],
)
def test_only_this_resource_is_the_audience(audience: object, fits: bool) -> None:
    """TOK-03, TOK-08."""
    assert RESOURCE.is_audience(audience) is fits


@pytest.mark.parametrize("url", ["ftp://h/x", "mcp.example.com", "https://h/x#f", "https:///x"])
def test_a_senseless_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        ProtectedResource(url, ["https://i"])
    with pytest.raises(ValueError, match="authorization server"):
        ProtectedResource("https://h", [])

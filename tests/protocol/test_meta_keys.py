"""Which keys of _meta an author may use."""

from __future__ import annotations

import pytest

from mcpkit.protocol.meta_keys import fault_of


@pytest.mark.parametrize(
    "key",
    [
        "ui",
        "a",
        "",
        "1.b_c-2",
        "example.org/a",
        "com.example.mcp/a",
        "mcp/x",
        "com.example/",
        "a-b.c1/x",
        "ui/resourceUri",
    ],
)
def test_these_are_free(key: str) -> None:
    """META-01: a prefix of labels, a name that may be empty."""
    assert fault_of(key) is None


@pytest.mark.parametrize(
    "key",
    [
        "io.modelcontextprotocol/x",
        "dev.mcp/",
        "org.modelcontextprotocol.api/x",
        "com.mcp.tools/x",
        "modelcontextprotocol.io/x",
        "mcp.dev/x",
        "tools.mcp.com/x",
        "progressToken",
        "traceparent",
    ],
)
def test_these_are_the_protocols(key: str) -> None:
    """META-02, META-03, META-05, META-06."""
    assert "protocol" in str(fault_of(key))


@pytest.mark.parametrize("key", ["-a", "a-", "a b", "é", "/a", "1a/x", "a..b/x", "a-/x", "a/b/c", "a\n", "_x"])
def test_these_are_no_keys(key: str) -> None:
    """META-01."""
    assert "must be a name" in str(fault_of(key))

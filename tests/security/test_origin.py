"""Host and Origin: the wall against DNS rebinding and foreign pages (NET-01 to NET-07, SHC-03, SHC-04)."""

from __future__ import annotations

import pytest

from mcpkit.security.origin import OriginRules

LOCAL = OriginRules()
PUBLIC = OriginRules(
    hosts=frozenset({"mcp.example.com", "api.example.com:8443", "tls.example.com:443", "[2001:db8::1]:80"}),
    origins=frozenset(
        {
            "https://app.example.com",
            "http://dev.example.com:3000",
            "bare.example.com",
            "vscode-webview://abc",
            "p.io:81",
        }
    ),
)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:12000",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:65535",
        "LocalHost:80",
        "127.0.0.1:",
        "[::1]:",
    ],
)
def test_this_machine_s_names_are_ours_at_any_port(host: str) -> None:
    """NET-05, SHC-04; asked twice, since the second answer is remembered."""
    assert LOCAL.host_allowed(host)
    assert LOCAL.host_allowed(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "localhost.evil.example.com",
        "evil-localhost",
        "localhost.",
        "localhost::",
        "localhost:80:",
        "[::1]:80:",
        "evil.example.com:",
        "::1:",
        ":",
        "localhost: ",
        "localhost:0",
        "localhost:65536",
        "localhost:80:80",
        "localhost:8o",
        "localhost:٨٠",
        "127.0.0.1.nip.io",
        "127.0.0.2",
        "::1",
        "[::1",
        "[::1]x",
        "[::2]",
        "user@localhost",
        "localhost/",
        "localhost ",
        " localhost",
        "localhost\n",
        "localhost,localhost",
        "http://localhost",
        "",
        "*",
        "null",
    ],
)
def test_a_foreign_or_malformed_host_is_not(host: str) -> None:
    """NET-05, CVE-2025-66416: whole names, no prefix, no suffix."""
    assert not LOCAL.host_allowed(host)
    assert not LOCAL.host_allowed(host)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mcp.example.com", True),
        ("mcp.example.com:9999", True),
        ("MCP.Example.com", True),
        ("api.example.com:8443", True),
        ("api.example.com:8444", False),
        ("api.example.com", False),
        ("tls.example.com", True),
        ("tls.example.com:443", True),
        ("tls.example.com:80", False),
        ("tls.example.com:", True),
        ("api.example.com:", False),
        ("[2001:db8::1]", True),
        ("localhost", False),
        ("\u212a.example.com", False),
    ],
)
def test_listed_hosts(host: str, allowed: bool) -> None:
    """NET-05: an entry without a port is any port; a Host without one is a default port."""
    assert PUBLIC.host_allowed(host) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:6274", True),
        ("https://localhost", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:3000", True),
        ("HTTP://LOCALHOST:1", True),
        ("ftp://localhost", False),
        ("localhost", False),
        ("http://localhost.evil.example.com", False),
        ("http://localhost@evil.example.com", False),
        ("http://evil.example.com", False),
        ("http://localhost/", False),
        ("http://localhost:", False),
        ("http://localhost:99999", False),
        ("http://localhost#", False),
        ("http://localhost http://localhost", False),
        ("http:localhost", False),
        ("//localhost", False),
        ("null", False),
        ("*", False),
        ("", False),
    ],
)
def test_local_origins(origin: str, allowed: bool) -> None:
    """NET-01, NET-06, SHC-03: null is refused unless it is listed."""
    assert LOCAL.origin_allowed(origin) is allowed
    assert LOCAL.origin_allowed(origin) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example.com", True),
        ("https://app.example.com:443", True),
        ("https://app.example.com:444", False),
        ("http://app.example.com", False),
        ("http://dev.example.com:3000", True),
        ("http://dev.example.com", False),
        ("https://dev.example.com:3000", False),
        ("https://bare.example.com:8", True),
        ("http://bare.example.com", True),
        ("http://p.io:81", True),
        ("http://p.io", False),
        ("vscode-webview://abc", True),
        ("vscode-webview://abcd", False),
        ("http://localhost", False),
        ("https://app.example.com.evil.io", False),
    ],
)
def test_listed_origins(origin: str, allowed: bool) -> None:
    """NET-06: scheme, name and effective port, compared whole."""
    assert PUBLIC.origin_allowed(origin) is allowed


def test_the_openings_must_be_asked_for() -> None:
    """SHC-03: the star and null are settings, each for its own header."""
    everything = OriginRules(hosts=frozenset({"*"}), origins=frozenset({"*"}))
    assert everything.host_allowed("anything at all")
    assert everything.origin_allowed("null")
    files = OriginRules(origins=frozenset({"null"}))
    assert files.origin_allowed("null")
    assert not files.origin_allowed("http://null")
    assert not OriginRules(hosts=frozenset({"*"})).origin_allowed("http://evil.example.com")
    assert not OriginRules(origins=frozenset({"*"})).host_allowed("evil.example.com")
    assert not OriginRules(hosts=frozenset(), origins=frozenset()).host_allowed("localhost")


@pytest.mark.parametrize("entry", ["*.example.com", "http://a", "a b", "a:99999", "", "::1", "a:"])
def test_a_host_entry_that_can_never_match_is_refused(entry: str) -> None:
    """NET-06: a typo in a setting must not silently lock everybody out."""
    with pytest.raises(ValueError, match="is no host"):
        OriginRules(hosts=frozenset({entry}))


@pytest.mark.parametrize("entry", ["https://*.example.com", "https://a/", "http://", "a/b"])
def test_an_origin_entry_that_can_never_match_is_refused(entry: str) -> None:
    """NET-06."""
    with pytest.raises(ValueError, match="is no origin"):
        OriginRules(origins=frozenset({entry}))


def test_what_is_remembered_is_bounded() -> None:
    """NET-06: any port of a listed name is allowed, so a caller may invent 65,535 of them."""
    rules = OriginRules()
    assert all(rules.host_allowed(f"localhost:{port}") for port in range(1, 2000))
    assert all(rules.origin_allowed(f"http://localhost:{port}") for port in range(1, 2000))
    assert len(rules._known_hosts) <= 256
    assert len(rules._known_origins) <= 256


def test_rules_are_values() -> None:
    """Two rules with the same entries are equal, whatever they have seen."""
    first, second = OriginRules(), OriginRules()
    first.host_allowed("localhost")
    assert first == second
    assert hash(first) == hash(second)

"""Where a request comes from: what is believed of what proxies say."""

from __future__ import annotations

import pytest

from mcpkit.security.address import TrustedProxies

PROXIES = TrustedProxies(("127.0.0.1", "::1", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "203.0.113.1", "203.0.113.1"),
        ("127.0.0.1", "203.0.113.1, 10.0.0.7", "203.0.113.1"),
        ("127.0.0.1", "1.1.1.1, 203.0.113.1, 10.0.0.7", "203.0.113.1"),
        ("127.0.0.1", "10.0.0.8,10.0.0.7", "10.0.0.8"),
        ("127.0.0.1", "203.0.113.1:4711", "203.0.113.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "x" * 100, "127.0.0.1"),
        ("127.0.0.1", "unknown", "unknown"),
        ("::1", "[2001:db8:1:2:3::4]:80", "2001:db8:1:2::/64"),
        ("::ffff:127.0.0.1", "203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", None, "203.0.113.1"),
        ("2001:db8:1:2::5", "203.0.113.1", "2001:db8:1:2::/64"),
        ("203.0.113.9", "203.0.113.1", "203.0.113.9"),
        ("fe80::1%eth0", None, "fe80::/64"),
        ("", "203.0.113.1", ""),
    ],
)
def test_the_last_address_that_is_no_proxy_counts(peer: str, forwarded: str | None, client: str) -> None:
    assert PROXIES.client(peer, forwarded) == client


@pytest.mark.parametrize(
    ("network", "peer", "trusted"),
    [
        ("::ffff:10.0.0.0/104", "10.255.0.7", True),
        ("::ffff:10.0.0.0/104", "::ffff:10.255.0.7", True),
        ("::ffff:10.0.0.0/104", "11.0.0.1", False),
        ("::ffff:10.0.0.0/104", "::a00:7", False),
        ("::ffff:a00:7", "10.0.0.7", True),
        ("::ffff:a00:7", "10.0.0.8", False),
        ("::ffff:0:0/96", "203.0.113.1", True),
        ("::ffff:0:0/96", "2001:db8::1", False),
        ("::ffff:0:0/95", "203.0.113.1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.7", True),
        ("10.0.0.0/8", "::ffff:a00:7", True),
        ("10.0.0.0/8", "::ffff:11.0.0.1", False),
        ("2001:db8::/32", "2001:db8::7", True),
        ("2001:db8::/32", "10.0.0.7", False),
        ("0.0.0.0/0", "", False),
    ],
)
def test_an_ipv4_network_is_one_in_either_spelling(network: str, peer: str, trusted: bool) -> None:
    """RFC 4291 section 2.5.5.2: a socket that takes both families names IPv4 peers in IPv6."""
    assert TrustedProxies((network,)).trusts(peer) is trusted


def test_everybody_and_nobody_may_be_trusted() -> None:
    assert TrustedProxies(("*",)).client("", "203.0.113.1, 198.51.100.1") == "203.0.113.1"
    assert TrustedProxies(()).client("127.0.0.1", "203.0.113.1") == "127.0.0.1"


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="proxy"):
        TrustedProxies(("proxy",))

"""Where a request comes from, as far as proxies that are trusted tell it.

What must never stand here: a socket, what an address is allowed to do.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

EVERYBODY: Final = "*"
LONGEST: Final = 64
"""Characters of a name for a client; a proxy that writes more is not understood."""
ONE_HOST: Final = 64
"""Bits of an IPv6 address that one network, and so one customer, has for itself."""
MAPPED: Final = 96
"""Bits before the IPv4 address in an IPv6 address that stands for one."""


class TrustedProxies:
    """The addresses whose ``X-Forwarded-For`` is believed."""

    __slots__ = ("_all", "_networks", "_trusted")

    def __init__(self, allowed: Collection[str]) -> None:
        """``allowed`` are addresses, networks as 10.0.0.0/8, or ``*`` for every peer. Raises: ValueError."""
        self._all = EVERYBODY in allowed
        self._networks = tuple(_as_ipv4(ip_network(one, strict=False)) for one in allowed if one != EVERYBODY)
        self._trusted = lru_cache(maxsize=256)(self._is_trusted)

    def trusts(self, peer: str) -> bool:
        """Whether what this peer says of others is believed."""
        return self._all or (bool(self._networks) and self._trusted(peer))

    def client(self, peer: str, forwarded: str | None = None) -> str:
        """The address that the request comes from: the peer, or the last one ``forwarded`` names that is no proxy.

        ``forwarded`` is the value of ``X-Forwarded-For``: each proxy appends who asked it, so whatever stands before
        the first one that is not trusted may be made up by the client.
        """
        if forwarded is not None and self.trusts(peer):
            named = [_bare(entry) for entry in forwarded.split(",")]
            if self._all:
                peer = named[0] or peer
            else:
                peer = next((name for name in reversed(named) if not self.trusts(name)), named[0]) or peer
        return peer if ":" not in peer else _network(peer)

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _as_ipv4(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """The network, as an IPv4 one where it is IPv4-mapped (RFC 4291 section 2.5.5.2)."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < MAPPED:
        return network
    return IPv4Network((int(mapped), network.prefixlen - MAPPED))


def _bare(entry: str) -> str:
    """An entry of ``X-Forwarded-For`` without blanks, brackets and port."""
    entry = entry.strip()
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    return entry if len(entry) <= LONGEST else ""


@lru_cache(maxsize=1024)
def _network(peer: str) -> str:
    """Of an IPv6 address the part that one host can't choose; an IPv4 address in IPv6 clothes as itself."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), ONE_HOST), strict=False))

"""Which URLs of strangers the client dares to ask: https, or http on this machine while developing; never inward.

A server on the internet must not be able to point the client at addresses behind its firewall (OCLI-01 to 07). A
server that is itself on this machine, or inside, may name its neighbours. What must never stand here: a request.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.urls import is_loopback, origin_text, split_http

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Guard:
    """Judges URLs for one MCP server; ``inward`` None decides by where that server is."""

    def __init__(self, server_url: str, inward: bool | None = None) -> None:
        self._server_host = split_http(server_url).hostname or ""
        self._inward = inward

    def inward(self) -> Guard:
        """The same without the fear of private addresses."""
        guard = object.__new__(Guard)
        guard._server_host, guard._inward = self._server_host, True
        return guard

    async def check(self, url: str, what: str) -> str:
        """The URL, if it may be asked.

        Raises: AuthorizationFailed that says why not.
        """
        try:
            parts = split_http(url)
        except ValueError as error:
            raise AuthorizationFailed(f"{what} is refused: {error}") from None
        host = parts.hostname or ""
        if parts.scheme.lower() != "https" and not is_loopback(host):
            raise AuthorizationFailed(f"{what} is refused: {origin_text(url)} is not https")  # FLOW-11
        if not await self._may_go_inward() and not await _outward(host):
            raise AuthorizationFailed(f"{what} is refused: {origin_text(url)} is not on the public internet")
        return url

    async def _may_go_inward(self) -> bool:
        if self._inward is None:
            self._inward = not await _outward(self._server_host)
        return self._inward


async def _outward(host: str) -> bool:
    """Every address of the host is a public one; a name that nobody knows harms nobody."""
    return all(_public(address) for address in await _addresses(host))


async def _addresses(host: str) -> list[_Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _public(address: _Address) -> bool:
    """Globally reachable, also where an IPv6 address wraps an IPv4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return _public(wrapped)
    return address.is_global and not address.is_multicast and not address.is_reserved

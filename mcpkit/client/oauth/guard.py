"""Which URLs of strangers the client dares to ask: https, or http on this machine while developing; never inward.

A server on the internet must not be able to point the client at addresses behind its firewall (OCLI-01 to 07). A
server that is itself on this machine, or inside, may name its neighbours. What was judged are addresses, so these are
what is connected to: a name may lead elsewhere the next time that it is looked up. What must never stand here: a
request.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import Final

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.urls import is_loopback, origin_text, split_http

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NOT_ROUTED: Final = tuple(map(ipaddress.ip_network, ("3fff::/20", "5f00::/16", "64:ff9b:1::/48")))
"""Documentation, segment routing, NAT64 within a site: what Python's tables of this version may not know."""
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

    def connected(self, address: str) -> None:
        """The MCP server was reached at this address, which tells better than its name where it is."""
        if self._inward is None:
            with contextlib.suppress(ValueError):
                self._inward = not _public(ipaddress.ip_address(address.partition("%")[0]))

    async def check(self, url: str, what: str) -> str:
        """The URL, if it may be asked.

        Raises: AuthorizationFailed that says why not.
        """
        await self.addresses(url, what)
        return url

    async def addresses(self, url: str, what: str) -> tuple[str, ...] | None:
        """The addresses of a URL that may be asked, which alone may be connected to; None where any may.

        Raises: AuthorizationFailed that says why it may not.
        """
        try:
            parts = split_http(url)
        except ValueError as error:
            raise AuthorizationFailed(f"{what} is refused: {error}") from None
        host = parts.hostname or ""
        if parts.scheme.lower() != "https" and not is_loopback(host):
            raise AuthorizationFailed(f"{what} is refused: {origin_text(url)} is not https")  # FLOW-11
        if await self._may_go_inward():
            return None
        found = await _addresses(host)
        if not all(map(_public, found)):
            raise AuthorizationFailed(f"{what} is refused: {origin_text(url)} is not on the public internet")
        return tuple(map(str, found))

    async def _may_go_inward(self) -> bool:
        if self._inward is None:
            found = await _addresses(self._server_host)
            self._inward = bool(found) and not any(map(_public, found))  # one of several could be there to deceive
        return self._inward


async def _addresses(host: str) -> list[_Address]:
    host = host.removesuffix(".")
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def _public(address: _Address) -> bool:
    """Globally reachable, also where an IPv6 address wraps an IPv4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return _public(wrapped)
        if address.is_site_local or any(address in network for network in _NOT_ROUTED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved

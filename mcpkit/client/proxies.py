"""Which proxy the environment, or the system, wants a URL to go through, and whether that can be done.

What must never stand here: a connection.
"""

from __future__ import annotations

import functools
import importlib.util
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mcpkit.client.errors import ProxyUnusable

_HTTP: Final = frozenset({"http", "https"})
_SOCKS: Final = frozenset({"socks5", "socks5h"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable that names it."""

    variable: str
    url: str

    def require_usable(self) -> None:
        """Raises: ProxyUnusable that names the variable and what to do."""
        fault = _fault(self.url)
        if fault is not None:
            raise ProxyUnusable(
                f"the proxy that {self.variable} names can't be used: {fault}, or unset {self.variable}"
                " (NO_PROXY names the hosts that need no proxy)"
            )


def proxy_of(url: str) -> Proxy | None:
    """The proxy for this URL; None where it is reached directly."""
    known = proxies()
    if not known:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:  # whoever connects says what is wrong with it
        return None
    scheme = parts.scheme.lower() if parts.scheme.lower() in known else "all"
    if scheme not in known or urllib.request.proxy_bypass(parts.netloc):
        return None
    value = known[scheme]
    return Proxy(f"{scheme.upper()}_PROXY", value if "://" in value else f"http://{value}")


@functools.cache
def proxies() -> Mapping[str, str]:
    """All that are configured, by the scheme of the URLs that they are for."""
    return urllib.request.getproxies()


def _fault(url: str) -> str | None:
    """What is wrong with a proxy's URL, and the fix; it may hold a password and is not repeated."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0 and not any(map(str.isspace, parts.netloc))
    except ValueError:
        named = False
    if not named:
        return "it names no host and port; write it as http://host:port"
    scheme = parts.scheme.lower()
    if scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        return 'a SOCKS proxy needs the package socksio; run pip install "httpx[socks]"'
    if scheme not in _HTTP | _SOCKS:
        return f"there is no such kind of proxy as {scheme[:20]}; write it as http://host:port or socks5://host:port"
    return None
